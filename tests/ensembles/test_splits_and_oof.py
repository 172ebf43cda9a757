import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

from ensembles.members.rows import RowClassifier
from ensembles.oof import check_rows, encode_folds, out_of_fold
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.stacking import OptionStacking


def test_folds_are_a_balanced_partition_of_whole_families() -> None:
    groups = np.random.default_rng(0).integers(60, size=500)
    folds = family_folds(groups, n_folds=5, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate([held for _, held in folds])), np.arange(500))
    for train, held in folds:
        assert not set(groups[train]) & set(groups[held])
        assert 80 <= len(held) <= 120
    again = family_folds(groups, n_folds=5, seed=1)
    other = family_folds(groups, n_folds=5, seed=2)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))
    assert not all(np.array_equal(a[1], b[1]) for a, b in zip(folds, other, strict=True))


@pytest.mark.parametrize(("n_folds", "message"), [(7, "3 families for 7 folds"), (1, "2 or more")])
def test_impossible_folds(n_folds: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        family_folds([0, 0, 1, 2], n_folds=n_folds, seed=0)


class Spy(TransformerMixin, BaseEstimator):
    """Keeps the rows it was fitted on; its features are the rows' own numbers."""

    fitted: list[set[int]] = []  # noqa: RUF012 - clones share it on purpose

    def fit_transform(self, X, y, groups=None):
        Spy.fitted.append(set(X[:, 0].astype(int).tolist()))
        return X

    def transform(self, X):
        return X


def test_encoders_see_training_rows_only() -> None:
    Spy.fitted.clear()
    groups = np.repeat(np.arange(12), 4)
    X = np.arange(48, dtype=np.float32)[:, None]
    folds = family_folds(groups, n_folds=3, seed=0)
    encode_folds(X, np.zeros(48), groups=groups, folds=folds, encoder=Spy())
    assert [set(train.tolist()) for train, _ in folds] == Spy.fitted


def test_a_family_on_both_sides_is_refused() -> None:
    with pytest.raises(ValueError, match="both sides"):
        encode_folds(
            np.zeros((4, 1)), [0, 1, 0, 1], groups=[0, 0, 0, 1], folds=[(np.array([0, 3]), np.array([1, 2]))]
        )


def test_out_of_fold_equals_fitting_by_hand() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 2)
    X, y = rng.normal(size=(60, 3)).astype(np.float32), np.tile([0, 1], 30)
    folds = encode_folds(X, y, groups=groups, folds=family_folds(groups, n_folds=3, seed=0))
    member = MEMBERS["linear"].make({}, seed=0, n_jobs=1)
    found = out_of_fold(member, y, questions=groups, groups=groups, folds=folds)
    for k, fold in enumerate(folds):
        by_hand = MEMBERS["linear"].make({}, seed=0, n_jobs=1).fit(X[fold.train], y[fold.train])
        np.testing.assert_allclose(found.prob[fold.held_out], by_hand.predict_proba(X[fold.held_out])[:, 1])
        assert (found.fold[fold.held_out] == k).all()


@pytest.mark.parametrize(
    ("y", "questions", "groups", "message"),
    [
        ([1, 0, 1], [0, 0, 1], [0, 0, 1], "one option"),
        ([1, 1, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1], "no right option or several"),
        ([1, 0, 0, 1], [0, 0, 1, 1], [0, 1, 1, 1], "several families"),
        ([1, 0, 2, 1], [0, 0, 1, 1], [0, 0, 1, 1], "expected 0 and 1"),
        ([1, 0], [0, 0, 1], [0, 0], "3 questions"),
    ],
)
def test_rows_that_are_no_multiple_choice(y: list, questions: list, groups: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_rows(y, questions=questions, groups=groups)


class Counting(RowClassifier):
    """A linear member that counts how often any clone of it is fitted, and on how many rows."""

    rows: list[int] = []  # noqa: RUF012 - clones share it on purpose

    def fit(self, X, y, *, groups=None, questions=None, sample_weight=None):
        Counting.rows.append(len(X))
        return super().fit(X, y, groups=groups, questions=questions, sample_weight=sample_weight)


def stack_rows(n_questions: int = 120):
    rng = np.random.default_rng(5)
    questions = np.repeat(np.arange(n_questions), 3)
    y = np.tile([1, 0, 0], n_questions)
    X = rng.normal(size=(len(y), 4)).astype(np.float32) + y[:, None] * np.float32(0.8)
    return X, y, questions, questions // 2


def test_stacking_fits_each_member_once_per_fold_and_once_on_all() -> None:
    X, y, questions, groups = stack_rows()
    Counting.rows.clear()
    member = Counting(MEMBERS["linear"].make({}, seed=0, n_jobs=1).estimator)
    stack = OptionStacking([("a", member)], n_folds=4).fit(X, y, questions=questions, groups=groups)
    assert len(Counting.rows) == 5
    assert sum(Counting.rows[:4]) == 3 * len(X)
    assert Counting.rows[4] == len(X)
    assert stack.oof_.shape == (len(X), 1)


def test_stacking_probabilities_follow_the_options() -> None:
    X, y, questions, groups = stack_rows()
    members = [(name, MEMBERS[name].make({}, seed=0, n_jobs=1)) for name in ("linear", "decision_tree")]
    stack = OptionStacking(members, n_folds=3).fit(X, y, questions=questions, groups=groups)
    prob = stack.predict_proba(X, questions=questions)[:, 1]
    np.testing.assert_allclose(np.bincount(questions, weights=prob), 1)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_allclose(stack.predict_proba(X[order], questions=questions[order])[:, 1], prob[order])
    assert set(stack.level_one_.weights_) == {"linear", "decision_tree"}


def test_level_one_of_noise_is_chance() -> None:
    X, y, questions, groups = stack_rows()
    rng = np.random.default_rng(0)
    noise = rng.normal(size=X.shape).astype(np.float32)
    # A deep tree knows its training rows by heart: in-fold predictions would make the stack near perfect.
    tree = MEMBERS["decision_tree"].make({"max_depth": 14, "min_samples_leaf": 2}, seed=0, n_jobs=1)
    stack = OptionStacking([("tree", tree)], n_folds=4).fit(noise, y, questions=questions, groups=groups)
    right = stack.oof_[:, 0][y == 1]
    wrong = stack.oof_[:, 0][y == 0]
    assert abs(right.mean() - wrong.mean()) < 0.12


def test_a_stack_without_members_is_refused() -> None:
    X, y, questions, groups = stack_rows()
    with pytest.raises(ValueError, match="no members"):
        OptionStacking([]).fit(X, y, questions=questions, groups=groups)
