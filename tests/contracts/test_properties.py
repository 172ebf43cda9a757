"""What holds for every registered member and every way of joining them, as a question sees it."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ensembles.choice import credit, question_probabilities
from ensembles.registry import MEMBERS
from ensembles.stacking import OptionStacking

SMALL = {"n_estimators": 12}
FAST = {
    **dict.fromkeys(("random_forest", "xgboost", "lightgbm", "extra_trees"), SMALL),
    **dict.fromkeys(("xgboost_ranker", "lightgbm_ranker"), SMALL),
    "forest_of_xgboost": {**SMALL, "n_members": 4},
    "xgboost_parallel_trees": {"n_estimators": 5},
}
WAYS = {
    "stack": {},
    "stack, greedy": {"joined_by": "greedy"},
    "stack, fold models": {"served": "folds"},
    "stack, blend": {"blend": True},
}
METHODS = [*sorted(MEMBERS), *WAYS]
EVERY = pytest.mark.parametrize("name", METHODS)
DRAWS_ROWS = {"random_forest", "xgboost", "xgboost_parallel_trees", "forest_of_xgboost"}
"""Members that draw rows by their place in the training matrix, XGBoost's subsample included."""
Predict = Callable[[NDArray, NDArray], NDArray]


def make(name: str, *, n_jobs: int = 1, seed: int = 0):
    if name in WAYS:
        members = [(member, make(member, n_jobs=n_jobs)) for member in ("lightgbm", "linear", "neighbours")]
        return OptionStacking(members, n_folds=3, seed=seed, **WAYS[name])
    return MEMBERS[name].make(FAST.get(name, {}), seed=seed, n_jobs=n_jobs)


def make_rows(*, signal: float, seed: int = 0) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return X, y, questions, families: two to five options, two questions a family."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, 240)
    questions = np.repeat(np.arange(240), sizes)
    y = np.zeros(len(questions), dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    y[starts + (rng.random(240) * sizes).astype(int)] = 1
    X = rng.normal(size=(len(questions), 6)).astype(np.float32)
    X[:, 0] += signal * y
    X[::11, 3] = np.nan
    return X, y, questions, questions // 2


def fit(name: str, rows: tuple[NDArray, ...], **settings) -> Predict:
    """Return what a fitted method says of rows: shares of their questions, (n_rows,)."""
    X, y, questions, groups = rows
    fitted = make(name, **settings).fit(X, y, questions=questions, groups=groups)

    def predict(X: NDArray, questions: NDArray) -> NDArray:
        return question_probabilities(fitted.predict_proba(X, questions=questions)[:, 1], questions)

    return predict


def shuffled_options(questions: NDArray, seed: int) -> NDArray[np.intp]:
    """Return an order of the rows that shuffles the options of each question where the question stands."""
    return np.lexsort((np.random.default_rng(seed).random(len(questions)), questions))


@EVERY
def test_permuting_options_permutes_their_probabilities_and_nothing_else(name: str) -> None:
    X, y, questions, groups = make_rows(signal=1.5)
    learn, held = questions < 160, questions >= 160
    predict = fit(name, (X[learn], y[learn], questions[learn], groups[learn]))
    straight = predict(X[held], questions[held])
    for order in (shuffled_options(questions[held], 1), np.arange(held.sum())[::-1]):
        np.testing.assert_allclose(
            predict(X[held][order], questions[held][order]), straight[order], atol=1e-6
        )


@EVERY
def test_the_order_of_training_rows_changes_nothing_but_what_is_drawn_by_place(name: str) -> None:
    X, y, questions, groups = make_rows(signal=1.5)
    learn, held = questions < 160, questions >= 160
    order = np.random.default_rng(2).permutation(int(learn.sum()))
    rows = tuple(of[learn] for of in (X, y, questions, groups))
    straight = fit(name, rows)(X[held], questions[held])
    turned = fit(name, tuple(of[order] for of in rows))(X[held], questions[held])
    if name in DRAWS_ROWS:
        gap = [credit(prob, questions[held], y[held]).mean() for prob in (straight, turned)]
        assert abs(gap[0] - gap[1]) < 0.15
    else:
        np.testing.assert_allclose(straight, turned, atol=1e-4)


@EVERY
def test_labels_of_noise_give_chance(name: str) -> None:
    X, y, questions, groups = make_rows(signal=0.0)
    learn, held = questions < 160, questions >= 160
    predict = fit(name, (X[learn], y[learn], questions[learn], groups[learn]))
    earned = credit(predict(X[held], questions[held]), questions[held], y[held])
    chance = 1.0 / np.bincount(questions[held] - 160)
    error = np.sqrt((chance * (1 - chance)).sum()) / len(chance)
    assert abs(earned.mean() - chance.mean()) < 4 * error


@pytest.mark.parametrize("name", sorted(WAYS))
def test_what_a_stack_keeps_of_noise_is_chance(name: str) -> None:
    X, y, questions, groups = make_rows(signal=0.0)
    stack = make(name).fit(X, y, questions=questions, groups=groups)
    judged = np.isfinite(stack.oof_).all(axis=1)
    chance = 1.0 / np.bincount(questions[judged])[np.unique(questions[judged])]
    for member in stack.oof_[judged].T:
        share = question_probabilities(member, questions[judged])
        earned = credit(share, questions[judged], y[judged])
        error = np.sqrt((chance * (1 - chance)).sum()) / len(chance)
        assert abs(earned.mean() - chance.mean()) < 4 * error


@EVERY
def test_bit_equal_for_a_seed_whatever_the_workers(name: str) -> None:
    X, y, questions, groups = make_rows(signal=1.0)
    one, two = (fit(name, (X, y, questions, groups), n_jobs=n)(X, questions) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


@EVERY
def test_columns_without_any_value_or_variation_do_no_harm(name: str) -> None:
    X, y, questions, groups = make_rows(signal=2.0)
    X = np.column_stack([X, np.full(len(X), np.nan), np.full(len(X), 3.0)]).astype(np.float32)
    prob = fit(name, (X, y, questions, groups))(X, questions)
    assert np.isfinite(prob).all()
    assert credit(prob, questions, y).mean() > 0.6
