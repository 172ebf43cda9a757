"""What the stack promises beside its members: scikit-learn's checks, and rows that are no options."""

import numpy as np
import pandas as pd
import pytest
from _pytest.mark import ParameterSet
from sklearn import config_context
from sklearn.datasets import load_wine
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.utils.estimator_checks import estimator_checks_generator

from ensembles.registry import MEMBERS
from ensembles.splits import class_folds
from ensembles.stacking import OptionStacking

LEFT_OUT = ("check_array_api_input",)
"""Needs an environment variable that changes scipy for the whole process."""
EXPECTED_FAILURES = {
    "check_sample_weight_equivalence_on_dense_data": "a row of weight 2 lies in one fold, two rows of weight "
    "1 in two; and a fold may be left without a class that has weight"
}
WAYS = ({}, {"joined_by": "greedy", "served": "folds"}, {"blend": True})


def stack(**settings) -> OptionStacking:
    members = [(name, MEMBERS[name].make({}, seed=0, n_jobs=1)) for name in ("decision_tree", "linear")]
    return OptionStacking(members, **{"n_folds": 2, **settings})


def checks() -> list[ParameterSet]:
    found = []
    for settings in WAYS:
        for estimator, check in estimator_checks_generator(stack(**settings), mark=None):
            told = check.func.__name__ if hasattr(check, "func") else check.__name__
            if told not in LEFT_OUT:
                reason = EXPECTED_FAILURES.get(told)
                marks = [pytest.mark.xfail(reason=reason)] if reason else []
                found.append(pytest.param(estimator, check, id=f"{told}-{len(found)}", marks=marks))
    return found


def test_there_are_checks() -> None:
    assert len(checks()) > 100


@pytest.mark.parametrize(("estimator", "check"), checks())
def test_scikit_learns_own_checks(estimator, check) -> None:
    check(estimator)


@pytest.mark.parametrize("settings", WAYS)
def test_rows_of_many_classes_with_names_are_joined_as_well_as_the_best_member(settings) -> None:
    X, y = load_wine(return_X_y=True, as_frame=True)
    names = np.array(["barolo", "grignolino", "barbera"])[y]
    learn = np.arange(len(y)) % 2 == 0
    fitted = stack(**{**settings, "n_folds": 5}).fit(X[learn], names[learn])
    prob = fitted.predict_proba(X[~learn])
    np.testing.assert_allclose(prob.sum(axis=1), 1)
    assert fitted.classes_.tolist() == ["barbera", "barolo", "grignolino"]
    assert (fitted.predict(X[~learn]) == names[~learn]).mean() > 0.85
    alone = [member.fit(X[learn], names[learn]).predict_proba(X[~learn]) for _, member in fitted.members]
    worst = max(log_loss(names[~learn], each) for each in alone)
    assert log_loss(names[~learn], prob) < worst
    assert fitted.oof_.shape == (learn.sum(), 3, 2)


def test_groups_and_weights_are_routed() -> None:
    X, y = load_wine(return_X_y=True)
    with config_context(enable_metadata_routing=True):
        routed = stack().set_fit_request(groups=True, sample_weight=True)
        routed.set_score_request(sample_weight=True)
        given = {"groups": np.arange(len(y)) // 2, "sample_weight": np.ones(len(y))}
        scores = cross_validate(routed, X, y, cv=GroupKFold(3), params=given)
    assert (scores["test_score"] > 0.8).all()


def test_a_weight_counts_for_members_and_for_what_joins_them() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(300), 3)
    X = rng.normal(size=(900, 2)).astype(np.float32)
    y = np.zeros(900, dtype=int)
    # Half of the questions say the opposite of the others; weights decide whom to believe.
    side = np.where(np.arange(300) % 2, 1, -1)
    y[np.arange(300) * 3 + (X[:, 0].reshape(-1, 3) * side[:, None]).argmax(axis=1)] = 1
    for believed in (1, -1):
        weight = np.repeat(np.where(side == believed, 1.0, 1e-3), 3)
        fitted = stack(n_folds=3).fit(X, y, questions=questions, sample_weight=weight)
        found = fitted.predict(X, questions=questions).reshape(-1, 3)[side == believed]
        assert (found == y.reshape(-1, 3)[side == believed]).all(axis=1).mean() > 0.8


def test_questions_are_given_to_both_or_neither() -> None:
    X, y = load_wine(return_X_y=True)
    with pytest.raises(ValueError, match="without questions, got some"):
        stack().fit(X, y).predict_proba(X, questions=np.arange(len(y)))
    options = pd.DataFrame({"a": [0.0, 1.0] * 8})
    fitted = stack().fit(options, [0, 1] * 8, questions=np.repeat(np.arange(8), 2))
    with pytest.raises(ValueError, match="with questions, got none"):
        fitted.predict_proba(options)


def test_option_rows_are_scored_through_metadata_routing() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(90), 3)
    y = np.zeros(270, dtype=int)
    y[np.arange(90) * 3 + rng.integers(3, size=90)] = 1
    X = rng.normal(size=(270, 2)) + 2 * y[:, None]
    with config_context(enable_metadata_routing=True):
        routed = stack().set_fit_request(groups=True, questions=True).set_score_request(questions=True)
        given = {"groups": questions // 2, "questions": questions}
        found = cross_validate(routed, X, y, cv=GroupKFold(3), params=given)["test_score"]
    assert (found > 0.7).all()
    fitted = stack().fit(X, y == 1, questions=questions)
    right = fitted.predict(X, questions=questions)
    assert right.dtype == bool
    assert fitted.score(X, y, questions=questions) == pytest.approx((right & (y == 1)).sum() / 90, abs=0.02)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.array(["no", "yes"]), "expected 0 and 1 with questions"), (np.array([-1, 1]), "expected 0 and 1")],
)
def test_labels_that_do_not_say_which_option_is_right_are_refused(labels, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stack().fit(np.arange(16.0)[:, None], labels[[0, 1] * 8], questions=np.repeat(np.arange(8), 2))


def test_members_of_one_name_are_refused() -> None:
    twice = OptionStacking([("a", MEMBERS["linear"].make({}, seed=0, n_jobs=1))] * 2)
    with pytest.raises(ValueError, match="a name of its own"):
        twice.fit(np.arange(8.0)[:, None], [0, 1] * 4)


def test_a_blend_of_few_families_is_joined() -> None:
    X, y = load_wine(return_X_y=True)
    fitted = stack(blend=True, n_folds=5).fit(X, y, groups=np.arange(len(y)) % 12)
    assert fitted.score(X, y) > 0.9


def test_folds_of_rows_hold_every_class_in_equal_shares() -> None:
    labels = np.repeat([0, 1, 2], [50, 30, 7])
    folds = class_folds(labels, n_folds=5, seed=0)
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(len(labels)))
    for _, held in folds:
        assert np.all(np.abs(np.bincount(labels[held], minlength=3) - [10, 6, 1.4]) <= 1)
    with pytest.raises(ValueError, match="n_samples=3 for 5 folds"):
        class_folds([0, 1, 1], n_folds=5, seed=0)
