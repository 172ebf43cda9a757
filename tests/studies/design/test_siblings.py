import numpy as np
import pytest

from studies.design.siblings import Siblings


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    questions = rng.permutation(np.repeat(np.arange(30), rng.integers(2, 6, size=30)))
    values = rng.normal(size=len(questions)).round(1)
    values[rng.random(len(values)) < 0.1] = np.nan
    return questions, values


def slow(questions, values, rule):
    result = np.full(len(values), np.nan)
    for i, value in enumerate(values):
        others = [
            values[j] for j in np.flatnonzero(questions == questions[i]) if j != i and not np.isnan(values[j])
        ]
        if not np.isnan(value):
            result[i] = rule(value, others)
    return result


def test_each_form_matches_a_loop(case):
    questions, values = case
    siblings = Siblings(questions)
    centred = slow(questions, values, lambda v, others: v - np.mean([v, *others]))
    margin = slow(questions, values, lambda v, others: v - max(others) if others else np.nan)
    rank = slow(
        questions,
        values,
        lambda v, others: np.mean([(o < v) + 0.5 * (o == v) for o in others]) if others else np.nan,
    )
    softmax = slow(questions, values, lambda v, others: np.exp(v) / np.exp([v, *others]).sum())
    np.testing.assert_allclose(siblings.centred(values), centred, atol=1e-12)
    np.testing.assert_allclose(siblings.margin(values), margin, atol=1e-12)
    np.testing.assert_allclose(siblings.rank(values), rank, atol=1e-12)
    np.testing.assert_allclose(siblings.softmax(values), softmax, atol=1e-12)


def test_softmax_sums_to_one(case):
    questions, values = case
    prob = Siblings(questions).softmax(np.nan_to_num(values) * 500)
    np.testing.assert_allclose(np.bincount(questions, prob), 1.0)


def test_matrix_columns_are_centred_one_by_one(case):
    questions, values = case
    both = np.stack([values, -values], axis=1)
    np.testing.assert_allclose(Siblings(questions).centred(both)[:, 1], -Siblings(questions).centred(values))
