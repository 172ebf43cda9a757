import numpy as np
import pytest

from ensembles.choice import question_softmax
from studies.catalog.untrained import by_rate, choose_temperature, position_rates


def test_position_rates_find_a_favourite_position() -> None:
    questions = np.repeat(np.arange(400), 3)
    index = np.tile(np.arange(3), 400)
    y = (index == np.where(questions % 4 == 0, 0, 1)).astype(np.int8)
    rates = position_rates(index, questions, y)
    assert rates == pytest.approx([0.25, 0.75, 0], abs=0.01)
    prob = by_rate(rates, index, questions)
    assert np.allclose(np.bincount(questions, weights=prob), 1)
    assert prob[:3].argmax() == 1


def test_positions_that_training_never_had_still_get_a_probability() -> None:
    prob = by_rate(np.array([0.5, 0.3]), np.arange(4), np.zeros(4, dtype=int))
    assert prob.sum() == pytest.approx(1)
    assert prob.min() > 0


def test_the_softmax_stays_finite_and_sums_to_one() -> None:
    questions = np.repeat([0, 1], [2, 3])
    prob = question_softmax(np.array([-5000.0, -5001, 700, 700, 700]), questions)
    assert prob == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.e), 1 / 3, 1 / 3, 1 / 3])


def test_the_temperature_undoes_a_scale() -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(3000), 3)
    logit = rng.normal(size=9000)
    true = question_softmax(logit, questions).reshape(-1, 3)
    right = (rng.random((3000, 1)) > true.cumsum(axis=1)).sum(axis=1)
    y = (np.tile(np.arange(3), 3000) == np.repeat(right, 3)).astype(np.int8)
    judged = np.ones(9000, dtype=bool)
    assert choose_temperature(logit, questions, y, judged=judged) == pytest.approx(1, rel=0.2)
    assert choose_temperature(logit * 0.1, questions, y, judged=judged) == pytest.approx(0.1, rel=0.2)
    assert choose_temperature(logit, questions, y, judged=~judged) == 1
