"""The conditional logit against an independent optimiser, and level 1 on planted members."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.optimize import minimize

from ensembles.choice import credit
from ensembles.level_one import PENALTIES, LevelOne
from ensembles.members.conditional_logit import ConditionalLogit

TRUE = np.array([1.5, -0.7, 0.0])


def choices(n_questions: int = 600, seed: int = 0) -> tuple[NDArray, NDArray, NDArray]:
    """Return features, labels and questions: options chosen with the probabilities of a known utility."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 6, n_questions)
    questions = np.repeat(np.arange(n_questions), sizes)
    X = rng.normal(size=(len(questions), 3)) + rng.normal(size=(n_questions, 3))[questions]
    utility = X @ TRUE + rng.gumbel(size=len(questions))
    y = np.zeros(len(questions), dtype=int)
    for question in range(n_questions):
        rows = np.flatnonzero(questions == question)
        y[rows[np.argmax(utility[rows])]] = 1
    return X, y, questions


def test_the_conditional_logit_finds_the_utility_that_drew_the_choices() -> None:
    X, y, questions = choices(4000)
    model = ConditionalLogit(penalty=0.0).fit(X, y, questions=questions)
    assert model.coef_ / model.scale_ == pytest.approx(TRUE, abs=0.08)


def test_the_conditional_logit_is_the_optimum_of_the_written_out_likelihood() -> None:
    X, y, questions = choices(80)
    model = ConditionalLogit(penalty=2.0).fit(X, y, questions=questions)

    def loss(weights: NDArray) -> float:
        total = 0.0
        for question in range(80):
            rows = questions == question
            utility = (X[rows] / model.scale_) @ weights
            total -= utility[y[rows] == 1][0] - np.log(np.exp(utility).sum())
        return total + 0.5 * 2.0 * float(weights @ weights)

    slow = minimize(loss, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-9}).x
    assert model.coef_ == pytest.approx(slow, abs=1e-3)


def test_order_of_rows_and_what_a_question_shares_change_nothing() -> None:
    X, y, questions = choices(100)
    model = ConditionalLogit().fit(X, y, questions=questions)
    prob = model.predict_proba(X, questions=questions)[:, 1]
    np.testing.assert_allclose(np.bincount(questions, weights=prob), 1)
    order = np.random.default_rng(1).permutation(len(X))
    moved = X[order] + np.random.default_rng(2).normal(size=(100, 3))[questions[order]]
    again = model.predict_proba(moved, questions=questions[order])[:, 1]
    np.testing.assert_allclose(again, prob[order], atol=1e-9)


def test_a_missing_value_counts_as_the_mean_of_the_training_rows() -> None:
    X, y, questions = choices(100)
    model = ConditionalLogit().fit(X, y, questions=questions)
    holes = X.copy()
    holes[5, 0] = holes[questions == 3, 1] = np.nan
    levelled = X.copy()
    levelled[5, 0], levelled[questions == 3, 1] = X.mean(axis=0)[:2]
    expected = model.predict_proba(levelled, questions=questions)
    np.testing.assert_allclose(model.predict_proba(holes, questions=questions), expected)


def level0(seed: int = 0, n_questions: int = 900) -> tuple[pd.DataFrame, NDArray, NDArray]:
    """Return two members: one good where there is an image, the other where there is none."""
    rng = np.random.default_rng(seed)
    questions = np.repeat(np.arange(n_questions), 3)
    y = np.zeros(len(questions), dtype=int)
    y[np.arange(n_questions) * 3 + rng.integers(3, size=n_questions)] = 1
    shown = np.repeat(np.arange(n_questions) % 2, 3)

    def member(good: NDArray) -> NDArray:
        score = np.exp(rng.normal(size=len(y)) + 2.5 * y * good)
        return score / np.bincount(questions, weights=score)[questions]

    frame = pd.DataFrame({"a": member(shown), "b": member(1 - shown), "has_image": shown})
    return frame, y, questions


def test_level_one_trusts_each_member_where_it_is_good() -> None:
    frame, y, questions = level0()
    other, truth, _ = level0(seed=1)
    scores = {}
    for context in (None, "has_image"):
        stack = LevelOne(probs=["a", "b"], context=context)
        stack.fit(frame, y, questions=questions, groups=questions)
        prob = stack.predict_proba(other, questions=questions)[:, 1]
        scores[context] = credit(prob, questions, truth).mean()
        assert stack.penalty_ in PENALTIES
    assert scores["has_image"] > scores[None] + 0.03
    without, with_image = stack.weights_["a"]
    assert with_image > 4 * abs(without)
    assert set(stack.weights_) == {"a", "b"}
