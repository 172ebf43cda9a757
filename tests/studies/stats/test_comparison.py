import math

import numpy as np
import pytest

from studies.stats import compare, holm, mean_estimate


def slow_mcnemar(gains, losses):
    """Twice the smaller tail of the fair coin, from binomial coefficients."""
    n = gains + losses
    tail = sum(math.comb(n, k) for k in range(min(gains, losses) + 1)) / 2**n
    return min(1.0, 2 * tail)


@pytest.fixture
def credits():
    rng = np.random.default_rng(7)
    families = np.repeat(np.arange(50), 6)
    a = (rng.random(300) < 0.85).astype(float)
    b = np.where(rng.random(300) < 0.8, a, 1 - a)
    return a, b, families


def test_counts_and_p_agree_with_a_slow_oracle(credits):
    a, b, families = credits
    comparison = compare(a, b, families)
    gains = sum(1 for x, y in zip(a, b, strict=True) if x > y)
    losses = sum(1 for x, y in zip(a, b, strict=True) if x < y)
    assert (comparison.gains, comparison.losses, comparison.n) == (gains, losses, 300)
    assert comparison.mcnemar_p == pytest.approx(slow_mcnemar(gains, losses), rel=1e-9)
    assert comparison.difference.value == pytest.approx((gains - losses) / 300)
    assert comparison.difference == mean_estimate(a - b, families)


def test_published_example():
    # 91 gains against 97 losses: p = 0.72 (two LLaVA-13B answer files on ScienceQA's image questions).
    a = np.r_[np.ones(91), np.zeros(97), np.ones(1829)]
    b = np.r_[np.zeros(91), np.ones(97), np.ones(1829)]
    assert compare(a, b, np.arange(2017), n_boot=10).mcnemar_p == pytest.approx(0.72, abs=0.005)


def test_swapping_the_methods_changes_only_the_sign(credits):
    a, b, families = credits
    there, back = compare(a, b, families), compare(b, a, families)
    assert back.difference.value == -there.difference.value
    assert (back.difference.low, back.difference.high) == pytest.approx(
        (-there.difference.high, -there.difference.low)
    )
    assert (back.gains, back.losses, back.mcnemar_p) == (there.losses, there.gains, there.mcnemar_p)


def test_pairing_narrows_the_interval(credits):
    a, b, families = credits
    b = a.copy()
    b[:5] = 1 - b[:5]
    paired = compare(a, b, families).difference
    alone = mean_estimate(a, families)
    assert paired.high - paired.low < 0.5 * (alone.high - alone.low)


def test_a_method_never_differs_from_itself_even_in_ties():
    credit = np.tile([1.0, 0.5, 1 / 3, 0.0], 50)
    comparison = compare(credit, credit, np.arange(200), seed=3)
    assert (comparison.gains, comparison.losses, comparison.mcnemar_p) == (0, 0, 1.0)
    assert (comparison.difference.low, comparison.difference.high) == (0.0, 0.0)


def test_ties_are_broken_in_proportion_to_their_credit_and_by_seed():
    a, b = np.full(4000, 0.25), np.zeros(4000)
    first, again, other = (compare(a, b, np.arange(4000), n_boot=10, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.gains != other.gains
    assert first.gains == pytest.approx(1000, abs=110)
    assert (first.losses, first.difference.value) == (0, 0.25)


def test_family_interval_is_wider_than_the_one_over_questions():
    rng = np.random.default_rng(2)
    step = np.repeat(rng.choice([-1.0, 0.0, 1.0], size=40, p=[0.2, 0.6, 0.2]), 10)
    a, b = np.where(step < 0, 0.0, 1.0), np.where(step > 0, 0.0, 1.0)
    by_family = compare(a, b, np.repeat(np.arange(40), 10)).difference
    by_question = compare(a, b, np.arange(400)).difference
    assert by_family.high - by_family.low > 2 * (by_question.high - by_question.low)


@pytest.mark.parametrize(
    ("a", "b", "message"), [([1.0], [1.0, 0.0], "shapes"), ([], [], "empty"), ([1.5], [1.0], r"\[0, 1\]")]
)
def test_bad_input_is_refused(a, b, message):
    with pytest.raises(ValueError, match=message):
        compare(a, b, np.arange(len(a)))


def test_holm_rejects_what_the_stepwise_rule_rejects():
    """Adjusted p <= alpha exactly where Holm's procedure, run literally, rejects."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = (rng.random(7) ** 3).tolist()
        alpha = float(rng.random() * 0.5)
        rejected, left = set(), sorted(range(7), key=lambda i: p[i])
        while left and p[left[0]] <= alpha / len(left):
            rejected.add(left.pop(0))
        assert {i for i, adjusted in enumerate(holm(p)) if adjusted <= alpha} == rejected


def test_holm_keeps_order_and_bounds():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.001, 0.9]) == pytest.approx([1.0, 0.003, 1.0])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        holm([0.1, float("nan")])
