import math

import numpy as np
import pytest

from studies.stats import brier, log_loss


@pytest.fixture
def rows():
    """Ragged questions with 2 to 5 options, rows shuffled."""
    rng = np.random.default_rng(11)
    prob, question, right = [], [], []
    for i in range(40):
        k = int(rng.integers(2, 6))
        gold = int(rng.integers(k))
        prob += rng.dirichlet(np.ones(k)).tolist()
        question += [i] * k
        right += [j == gold for j in range(k)]
    order = rng.permutation(len(prob))
    return np.array(prob)[order], np.array(question)[order], np.array(right)[order]


def test_agree_with_loops(rows):
    prob, question, right = rows
    for i in range(40):
        of = [(p, r) for p, q, r in zip(*rows, strict=True) if q == i]
        assert log_loss(prob, question, right)[i] == pytest.approx(-math.log(next(p for p, r in of if r)))
        assert brier(prob, question, right)[i] == pytest.approx(sum((p - r) ** 2 for p, r in of))


def test_closed_forms():
    uniform, question = np.full(4, 0.25), ["q"] * 4
    right = [False, True, False, False]
    assert log_loss(uniform, question, right).tolist() == [pytest.approx(math.log(4))]
    assert brier(uniform, question, right).tolist() == [pytest.approx(0.75**2 + 3 * 0.25**2)]
    assert log_loss([0.0, 1.0], ["q"] * 2, [True, False])[0] == pytest.approx(34.54, abs=0.01)


def test_both_are_proper():
    """Expected over outcomes drawn from p, no other forecast scores better than p itself."""
    truth = np.array([0.6, 0.3, 0.1])
    for score in (log_loss, brier):

        def expected(forecast, score=score):
            return sum(truth[j] * score(forecast, [0, 0, 0], np.eye(3)[j])[0] for j in range(3))

        best = expected(truth)
        for forecast in np.random.default_rng(0).dirichlet(np.ones(3), size=50):
            assert expected(forecast) > best


def test_row_order_and_question_names_do_not_matter(rows):
    prob, question, right = rows
    order = np.random.default_rng(1).permutation(len(prob))
    for score in (log_loss, brier):
        names = [f"{q:03d}" for q in question[order]]
        assert score(prob[order], names, right[order]) == pytest.approx(score(prob, question, right))


@pytest.mark.parametrize(
    ("prob", "right", "message"),
    [
        ([0.5, 0.6], [True, False], "probabilities sum to 1.1"),
        ([0.5, 0.5], [True, True], "right options sum to 2"),
        ([0.5, 0.5], [False, False], "right options sum to 0"),
        ([np.nan, 1.0], [True, False], "finite"),
        ([-0.5, 1.5], [True, False], "not negative"),
        ([1.0], [True, False], "equally long"),
    ],
)
def test_bad_input_is_refused(prob, right, message):
    with pytest.raises(ValueError, match=message):
        log_loss(prob, ["q"] * len(right), right)
