"""How members are joined, and which of their models predict."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.greedy import GreedySelection
from ensembles.level_one import LevelOne
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking


class Centred(TransformerMixin, BaseEstimator):
    """Takes the mean of the rows it was fitted on away, so that folds differ."""

    def fit_transform(self, X, y, *, groups):
        self.mean_ = X.mean(axis=0)
        return self.transform(X)

    def transform(self, X):
        return X - self.mean_


@pytest.fixture
def rows() -> dict[str, NDArray]:
    rng = np.random.default_rng(1)
    n = 300
    questions = np.repeat(np.arange(n), 3)
    y = np.zeros(len(questions), dtype=np.int64)
    y[np.arange(n) * 3 + rng.integers(3, size=n)] = 1
    X = rng.normal(size=(len(questions), 5)).astype(np.float32)
    X[:, :2] += y[:, None]
    return {"X": X, "y": y, "questions": questions, "groups": questions // 2}


def members() -> list[tuple[str, object]]:
    return [(name, MEMBERS[name].make({}, seed=0, n_jobs=1)) for name in ("decision_tree", "linear")]


def fit(rows: dict[str, NDArray], **settings) -> OptionStacking:
    learn = rows["questions"] < 200
    stack = OptionStacking(members(), n_folds=4, **settings)
    return stack.fit(*(rows[name][learn] for name in ("X", "y")), **{
        name: rows[name][learn] for name in ("questions", "groups")
    })  # fmt: skip


@pytest.mark.parametrize(
    "settings",
    [{}, {"joined_by": "greedy"}, {"served": "folds"}, {"blend": True}, {"blend": True, "served": "folds"}],
)
def test_every_way_learns_and_gives_probabilities_per_question(rows, settings) -> None:
    stack = fit(rows, encoder=Centred(), **settings)
    held = rows["questions"] >= 200
    ids = rows["questions"][held]
    prob = stack.predict_proba(rows["X"][held], questions=ids)[:, 1]
    np.testing.assert_allclose(np.bincount(ids - 200, weights=prob), 1)
    assert credit(prob, ids, rows["y"][held]).mean() > 0.55
    joiner = GreedySelection if settings.get("joined_by") == "greedy" else LevelOne
    assert isinstance(stack.level_one_, joiner)


def test_fold_models_predict_as_the_mean_of_models_that_saw_their_folds(rows) -> None:
    stack = fit(rows, encoder=Centred(), served="folds")
    learn = rows["questions"] < 200
    X, y, groups = (rows[name][learn] for name in ("X", "y", "groups"))
    held = rows["questions"] >= 200
    means = []
    for place in range(2):
        each = []
        for train, _ in family_folds(groups, n_folds=4, seed=0):
            encoder = Centred()
            model = members()[place][1].fit(
                encoder.fit_transform(X[train], y[train], groups=groups[train]), y[train]
            )
            each.append(model.predict_proba(encoder.transform(rows["X"][held]))[:, 1])
        means.append(np.mean(each, axis=0))
    expected = stack.level_one_.predict_proba(
        stack._level1(np.column_stack(means), None), questions=rows["questions"][held]
    )
    found = stack.predict_proba(rows["X"][held], questions=rows["questions"][held])
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_a_blend_learns_from_the_held_out_part_only(rows) -> None:
    stack = fit(rows, blend=True)
    learn = rows["questions"] < 200
    held_out = family_folds(rows["groups"][learn], n_folds=4, seed=0)[0][1]
    assert np.flatnonzero(np.isfinite(stack.oof_).all(axis=1)).tolist() == held_out.tolist()
    whole = fit(rows)
    np.testing.assert_array_equal(stack.oof_[held_out], whole.oof_[held_out])


def test_with_one_member_the_logit_calibrates_it(rows) -> None:
    learn, held = rows["questions"] < 200, rows["questions"] >= 200
    ids = rows["questions"][held]
    sure = {"n_estimators": 400, "max_depth": 6, "learning_rate": 0.3, "min_child_weight": 0.5}
    sharp = MEMBERS["xgboost"].make(sure, seed=0, n_jobs=1)
    fitted = sharp.fit(rows["X"][learn], rows["y"][learn])
    alone = question_probabilities(fitted.predict_proba(rows["X"][held])[:, 1], ids)
    stack = OptionStacking([("xgboost", sharp)], n_folds=4).fit(
        rows["X"][learn],
        rows["y"][learn],
        questions=rows["questions"][learn],
        groups=rows["groups"][learn],
    )
    calibrated = stack.predict_proba(rows["X"][held], questions=ids)[:, 1]
    assert stack.level_one_.weights_["xgboost"][0] > 0
    for question in np.unique(ids):
        at = ids == question
        assert calibrated[at].argmax() == alone[at].argmax()
    before, after = (question_log_loss(p, ids, rows["y"][held]).mean() for p in (alone, calibrated))
    assert after < before - 0.05


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"joined_by": "mean"}, "got joined_by 'mean', allowed are logit, greedy"),
        ({"served": "both"}, "got served 'both', allowed are refit, folds"),
    ],
)
def test_settings_that_are_not_there_are_refused(rows, settings, message) -> None:
    with pytest.raises(ValueError, match=message):
        fit(rows, **settings)
