"""Greedy selection against an exhaustive search, and on planted members."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from ensembles.choice import question_log_loss, question_probabilities
from ensembles.greedy import GreedySelection, select


def members(n_questions: int = 400, seed: int = 0):
    """Return two members with errors of their own, one that knows nothing, and one sure and wrong."""
    rng = np.random.default_rng(seed)
    questions = np.repeat(np.arange(n_questions), 3)
    y = np.zeros(len(questions), dtype=int)
    y[np.arange(n_questions) * 3 + rng.integers(3, size=n_questions)] = 1

    def member(signal: float, spread: float = 1.0):
        return question_probabilities(np.exp(spread * rng.normal(size=len(y)) + signal * y), questions)

    frame = pd.DataFrame(
        {"a": member(1.5), "b": member(1.5), "even": member(0.0, 0.0), "wrong": member(-2.0, 2.0)}
    )
    return frame, y, questions


def test_the_selection_is_near_the_best_of_all_mixtures() -> None:
    frame, y, _ = members()
    of_right = frame.to_numpy()[y == 1]
    shares = select(of_right, np.ones(len(of_right)), n_steps=40)
    assert shares.sum() == pytest.approx(1)
    grid = [np.array(w) / 10 for w in product(range(11), repeat=4) if sum(w) == 10]
    best = min(-np.log(of_right @ w).mean() for w in grid)
    assert -np.log(of_right @ shares).mean() <= best + 1e-3


def test_good_members_are_taken_and_the_wrong_one_is_not() -> None:
    frame, y, questions = members()
    chosen = GreedySelection(probs=list(frame)).fit(frame, y, questions=questions, groups=questions // 2)
    assert min(chosen.weights_["a"], chosen.weights_["b"]) > 0.3
    assert chosen.weights_["wrong"] == 0
    other, truth, _ = members(seed=1)
    loss = question_log_loss(chosen.predict_proba(other, questions=questions)[:, 1], questions, truth).mean()
    assert loss < question_log_loss(other["a"], questions, truth).mean() - 0.03


def test_order_of_rows_changes_nothing() -> None:
    frame, y, questions = members(60)
    straight = GreedySelection(probs=list(frame)).fit(frame, y, questions=questions, groups=questions)
    order = np.random.default_rng(2).permutation(len(y))
    turned = GreedySelection(probs=list(frame)).fit(
        frame.iloc[order], y[order], questions=questions[order], groups=questions[order]
    )
    assert turned.weights_ == pytest.approx(straight.weights_)
