import itertools

import numpy as np
import pytest

from llava_core.evaluation.llava_bench.estimate import ratio_estimate, share_estimate


def test_the_interval_is_that_of_all_resamples() -> None:
    """Three clusters have 27 equally likely resamples: the quantiles can be listed."""
    tops, bottoms = [3.0, 5.0, 1.0, 8.0], [6.0, 7.0, 4.0, 9.0]
    clusters = ["a", "b", "b", "c"]
    sums = {"a": (3, 6), "b": (6, 11), "c": (8, 9)}
    every = sorted(
        sum(sums[name][0] for name in drawn) / sum(sums[name][1] for name in drawn)
        for drawn in itertools.product("abc", repeat=3)
    )
    found = ratio_estimate([tops], [bottoms], clusters, level=0.8)
    assert found is not None
    assert found.value == pytest.approx(17 / 26)
    assert (found.n, found.n_clusters) == (4, 3)
    # 10 % and 90 % of 27 lie inside runs of equal resamples, so that chance cannot move them.
    assert found.low == pytest.approx(every[2])
    assert found.high == pytest.approx(every[24])


def test_the_interval_agrees_with_the_delta_method() -> None:
    rng = np.random.default_rng(5)
    bottoms = rng.uniform(6, 10, 400)
    tops = bottoms * rng.uniform(0.3, 1.1, 400)
    found = ratio_estimate([tops], [bottoms], [str(i) for i in range(400)])
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    residuals = tops - found.value * bottoms
    error = np.sqrt(400 / 399 * (residuals**2).sum()) / bottoms.sum()
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.1 * error)


def test_copies_of_a_question_about_one_image_add_no_certainty() -> None:
    rng = np.random.default_rng(1)
    tops, bottoms = rng.uniform(1, 10, 30), rng.uniform(5, 10, 30)
    names = [str(i) for i in range(30)]
    once = ratio_estimate([tops], [bottoms], names)
    thrice = ratio_estimate([np.repeat(tops, 3)], [np.repeat(bottoms, 3)], np.repeat(names, 3).tolist())
    alone = ratio_estimate(
        [np.repeat(tops, 3)], [np.repeat(bottoms, 3)], [str(number) for number in range(90)]
    )
    assert once is not None
    assert thrice is not None
    assert alone is not None
    assert (thrice.low, thrice.high) == pytest.approx((once.low, once.high))
    assert alone.high - alone.low < 0.7 * (once.high - once.low)


def test_several_runs_are_the_mean_of_each_over_the_same_draws() -> None:
    rng = np.random.default_rng(2)
    tops, bottoms = rng.uniform(1, 10, (3, 20)), rng.uniform(5, 10, (3, 20))
    names = [str(i) for i in range(20)]
    each = [ratio_estimate([top], [bottom], names) for top, bottom in zip(tops, bottoms, strict=True)]
    joined = ratio_estimate(tops, bottoms, names)
    assert joined is not None
    assert joined.value == pytest.approx(np.mean([one.value for one in each if one]))
    same = ratio_estimate([tops[0]] * 2, [bottoms[0]] * 2, names)
    assert same is not None
    assert (same.low, same.high) == pytest.approx((each[0].low, each[0].high))


def test_a_paired_difference_is_that_of_the_ratios_in_each_draw() -> None:
    rng = np.random.default_rng(6)
    bottoms = rng.uniform(6, 10, 300)
    shared = rng.normal(0, 1, 300)  # makes both answers to a question good or bad
    one, other = 6 + shared + rng.normal(0, 0.2, 300), 5 + shared + rng.normal(0, 0.2, 300)
    names = [str(i) for i in range(300)]
    found = ratio_estimate([one, other], [bottoms, bottoms], names, weights=[1, -1])
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.value == pytest.approx((one.sum() - other.sum()) / bottoms.sum())
    residuals = one - other - found.value * bottoms
    error = np.sqrt(300 / 299 * (residuals**2).sum()) / bottoms.sum()
    assert found.low == pytest.approx(found.value - 1.96 * error, abs=0.1 * error)
    assert found.high == pytest.approx(found.value + 1.96 * error, abs=0.1 * error)
    itself = ratio_estimate([one, one], [bottoms, bottoms], names, weights=[1, -1])
    assert itself is not None
    assert (itself.value, itself.low, itself.high) == (0, 0, 0)


def test_coverage_with_thirty_images() -> None:
    """Nominal 95 %: a few points below with 30 images, as the docstring says."""
    rng = np.random.default_rng(3)
    bottoms = np.clip(rng.normal(8.6, 0.6, 1_000_000), 1, 10)
    truth = np.clip(0.7 * bottoms + rng.normal(0, 2**0.5, 1_000_000), 1, 10).mean() / bottoms.mean()
    n_covered = 0
    for _ in range(400):
        level = rng.normal(0, 1, 30).repeat(3)  # of an image; its three questions share it
        bottoms = np.clip(rng.normal(8.6, 0.6, 90), 1, 10)
        tops = np.clip(0.7 * bottoms + level + rng.normal(0, 1, 90), 1, 10)
        found = ratio_estimate(
            [tops], [bottoms], np.arange(30).repeat(3).astype(str).tolist(), n_resamples=499
        )
        assert found is not None
        assert found.low is not None
        assert found.high is not None
        n_covered += found.low <= truth <= found.high
    assert 0.90 <= n_covered / 400 <= 0.97


def test_no_interval_from_one_image_and_no_ratio_from_nothing() -> None:
    one = ratio_estimate([[1, 2]], [[2, 2]], ["a", "a"])
    assert one is not None
    assert (one.value, one.low, one.high) == (0.75, None, None)
    assert ratio_estimate([[]], [[]], []) is None
    assert ratio_estimate([[0, 0]], [[0, 0]], ["a", "b"]) is None


def test_a_share_that_the_bootstrap_cannot_resolve_is_exact() -> None:
    names = [str(i) for i in range(20)]
    never = share_estimate([False] * 20, names)
    assert never is not None
    assert never.low == 0
    assert never.high == pytest.approx(1 - 0.025 ** (1 / 20))
    always = share_estimate([True] * 20, ["a"] * 10 + ["b"] * 10)
    assert always is not None
    assert always.low == pytest.approx(0.025 ** (1 / 2))
    half = share_estimate([True, False] * 10, names)
    assert half is not None
    assert half.value == 0.5
    assert (half.low, half.high) == pytest.approx((0.3, 0.7))  # quantiles of binomial(20, 0.5) / 20


def test_shapes_have_to_agree() -> None:
    with pytest.raises(ValueError, match=r"got \(1, 2\) above, \(1, 2\) below and 1 clusters"):
        ratio_estimate([[1, 2]], [[1, 2]], ["a"])
