import itertools
import math

import numpy as np
import pytest
from scipy import stats

from studies.stats import accuracy_estimate, mean_estimate


def slow_interval(values, families, *, level, n_boot, seed):
    """Resample whole families one by one with Python's own generator."""
    import random

    rng = random.Random(seed)
    members = {}
    for value, family in zip(values, families, strict=True):
        members.setdefault(family, []).append(value)
    names = list(members)
    means = []
    for _ in range(n_boot):
        drawn = [value for _ in names for value in members[rng.choice(names)]]
        means.append(math.fsum(drawn) / len(drawn))
    means.sort()
    return means[int(n_boot * (1 - level) / 2)], means[int(n_boot * (1 + level) / 2)]


@pytest.fixture
def clustered():
    rng = np.random.default_rng(5)
    families = np.repeat(np.arange(60), rng.integers(1, 12, size=60))
    rate = rng.beta(2, 1, size=60)
    credit = (rng.random(len(families)) < rate[families]).astype(float)
    return credit, families


def test_agrees_with_a_slow_oracle(clustered):
    credit, families = clustered
    fast = accuracy_estimate(credit, families, n_boot=4000)
    low, high = slow_interval(credit.tolist(), families.tolist(), level=0.95, n_boot=4000, seed=1)
    assert fast.value == pytest.approx(math.fsum(credit) / len(credit), abs=1e-15)
    assert fast.low == pytest.approx(low, abs=0.01)
    assert fast.high == pytest.approx(high, abs=0.01)


def test_agrees_with_enumeration_of_all_resamples():
    values, families = [1.0, 0.0, 0.0, 1.0, 1.0, 0.25], [0, 0, 0, 1, 1, 2]
    members = {f: [v for v, g in zip(values, families, strict=True) if g == f] for f in range(3)}
    every = []
    for drawn in itertools.product(range(3), repeat=3):
        pooled = [value for family in drawn for value in members[family]]
        every.append(sum(pooled) / len(pooled))
    estimate = mean_estimate(values, families, level=0.8, n_boot=40_000)
    low, high = np.quantile(every, [0.1, 0.9], method="inverted_cdf")
    assert (estimate.low, estimate.high) == (pytest.approx(low), pytest.approx(high))


def test_single_question_families_give_the_binomial_interval():
    rng = np.random.default_rng(0)
    credit = (rng.random(1500) < 0.8).astype(float)
    estimate = accuracy_estimate(credit, np.arange(1500), n_boot=4000)
    half = 1.96 * math.sqrt(estimate.value * (1 - estimate.value) / 1500)
    assert estimate.high - estimate.value == pytest.approx(half, rel=0.1)
    assert estimate.value - estimate.low == pytest.approx(half, rel=0.1)


def test_families_of_identical_questions_count_once():
    rng = np.random.default_rng(1)
    one_each = (rng.random(200) < 0.7).astype(float)
    single = accuracy_estimate(one_each, np.arange(200))
    repeated = accuracy_estimate(np.repeat(one_each, 9), np.repeat(np.arange(200), 9))
    assert (repeated.value, repeated.low, repeated.high) == pytest.approx(
        (single.value, single.low, single.high)
    )
    assert repeated.n == 9 * single.n


def test_interval_covers_at_about_its_level():
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(200):
        families = np.repeat(np.arange(80), 5)
        rate = rng.beta(3, 2, size=80)
        credit = (rng.random(400) < rate[families]).astype(float)
        estimate = accuracy_estimate(credit, families, n_boot=400, seed=trial)
        covered += estimate.low <= 0.6 <= estimate.high
    assert 0.90 <= covered / 200 <= 0.99


def test_names_and_order_of_families_do_not_matter(clustered):
    credit, families = clustered
    named = [f"family {family:04d}" for family in families]
    order = np.random.default_rng(0).permutation(len(credit))
    plain = accuracy_estimate(credit, families)
    assert accuracy_estimate(credit, named) == plain
    shuffled = accuracy_estimate(credit[order], families[order])
    assert (shuffled.value, shuffled.low, shuffled.high) == pytest.approx(
        (plain.value, plain.low, plain.high)
    )


def test_interval_nests_with_level_and_follows_the_seed(clustered):
    narrow, wide = (accuracy_estimate(*clustered, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert accuracy_estimate(*clustered, seed=4) == accuracy_estimate(*clustered, seed=4)
    assert accuracy_estimate(*clustered, seed=4) != accuracy_estimate(*clustered, seed=5)


def test_mean_is_affine(clustered):
    values, families = clustered
    plain, moved = mean_estimate(values, families), mean_estimate(3 * values - 1, families)
    assert (moved.value, moved.low, moved.high) == pytest.approx(
        tuple(3 * part - 1 for part in (plain.value, plain.low, plain.high))
    )


@pytest.mark.parametrize("right", [0.0, 1.0])
def test_unanimous_families_fall_back_on_the_exact_interval(right):
    families = np.repeat(np.arange(12), 3)
    estimate = accuracy_estimate(np.full(36, right), families)
    exact = stats.binomtest(int(12 * right), 12).proportion_ci(0.95, method="exact")
    assert (estimate.low, estimate.high) == pytest.approx((exact.low, exact.high))
    assert (estimate.value, estimate.n) == (right, 36)


def test_one_family_is_no_evidence_of_precision():
    estimate = accuracy_estimate([1 / 3, 1 / 3, 1 / 3], ["a"] * 3)
    assert estimate.high - estimate.low > 0.9


def test_large_input_is_chunked_without_changing_its_size(monkeypatch, clustered):
    whole = accuracy_estimate(*clustered, n_boot=501)
    monkeypatch.setattr("studies.stats.estimate.DRAWS_PER_CHUNK", 1000)
    assert accuracy_estimate(*clustered, n_boot=501) == whole


@pytest.mark.parametrize(
    ("values", "families", "keywords", "message"),
    [
        ([], [], {}, "not empty"),
        ([1.0], [0, 1], {}, "equally long"),
        ([np.nan], [0], {}, "finite"),
        ([1.2], [0], {}, r"\[0, 1\]"),
        ([1.0], [0], {"level": 1.0}, "level"),
        ([1.0], [0], {"n_boot": 0}, "n_boot"),
    ],
)
def test_bad_input_is_refused(values, families, keywords, message):
    with pytest.raises(ValueError, match=message):
        accuracy_estimate(values, families, **keywords)
