"""A ratio of sums with its interval, resampled by cluster: every figure of LLaVA-Bench is one.

Questions about one image are not independent, so whole images are drawn where the images are known. The
interval is the percentile bootstrap's, read off the clusters' sums; where every question says the same it
has no width, and a share then takes the exact binomial interval over clusters. With the few images of
LLaVA-Bench it is somewhat narrow: of 400 simulated sets of 30 images, intervals of nominal 95 % held the
truth in 91 %.

References
----------
Field, C. A. and Welsh, A. H. (2007). Bootstrapping clustered data. JRSS B 69(3).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

LEVEL = 0.95
N_RESAMPLES = 9999
_CELLS_AT_A_TIME = 2_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A figure and its interval."""

    value: float
    low: float | None
    """None where there are not two clusters to resample."""
    high: float | None
    level: float
    n: int
    """Questions."""
    n_clusters: int


def ratio_estimate(
    tops: ArrayLike,
    bottoms: ArrayLike,
    clusters: Sequence[str],
    *,
    weights: Sequence[float] | None = None,
    seed: int = 0,
    n_resamples: int = N_RESAMPLES,
    level: float = LEVEL,
) -> Estimate | None:
    """Return the mean over runs of the ratio of two sums; None where a run sums to nothing below.

    Parameters
    ----------
    tops, bottoms : array-like, shape (n_runs, n_questions)
        Terms of the sums; a question that does not count in a run is 0 in both.
    clusters : sequence of str, length n_questions
        Questions of one name are drawn together, and every run with the same draw.
    weights : sequence of float, length n_runs, optional
        Of the runs' ratios in their sum, in place of the mean: 1 and -1 make a paired difference.

    Returns
    -------
    Estimate or None

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> ratio_estimate([[6, 8, 7]], [[8, 8, 10]], ["a", "a", "b"]).value
    0.8076923076923077
    """
    above, below = np.atleast_2d(np.asarray(tops, float)), np.atleast_2d(np.asarray(bottoms, float))
    if above.shape != below.shape or above.shape[1] != len(clusters):
        raise ValueError(f"got {above.shape} above, {below.shape} below and {len(clusters)} clusters")
    names, member = np.unique(np.asarray(clusters, dtype=object), return_inverse=True)
    if len(names) == 0 or not np.all(below.sum(axis=1)):
        return None
    sums = [np.bincount(member, weights=run).astype(float) for run in (*above, *below)]
    shares = np.full(len(above), 1 / len(above)) if weights is None else np.asarray(weights, float)

    def joined(*drawn: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
        return _joined_ratio(drawn, shares, axis=axis)

    low, high = _interval(sums, joined, seed=seed, n_resamples=n_resamples, level=level)
    return Estimate(
        value=float(joined(*sums)),
        low=low,
        high=high,
        level=level,
        n=len(clusters),
        n_clusters=len(names),
    )


def share_estimate(
    hits: Sequence[bool], clusters: Sequence[str], *, seed: int = 0, level: float = LEVEL
) -> Estimate | None:
    """Return the share of questions that something holds for; None where there is no question."""
    from scipy.stats import binomtest

    estimate = ratio_estimate([hits], [[1] * len(hits)], clusters, seed=seed, level=level)
    if estimate is None or 0 < estimate.value < 1:
        return estimate
    exact = binomtest(round(estimate.value) * estimate.n_clusters, estimate.n_clusters).proportion_ci(level)
    return Estimate(
        value=estimate.value, low=float(exact.low), high=float(exact.high), level=level,
        n=estimate.n, n_clusters=estimate.n_clusters,
    )  # fmt: skip


def _joined_ratio(
    sums: Sequence[NDArray[np.float64]], weights: NDArray[np.float64], *, axis: int
) -> NDArray[np.float64]:
    """Return the weighted sum of top over bottom; tops come first in `sums`, bottoms in the same order."""
    totals = np.stack([each.sum(axis=axis) for each in sums])
    with np.errstate(invalid="ignore", divide="ignore"):  # a draw of clusters that one run could not judge
        ratios = totals[: len(weights)] / totals[len(weights) :]
    joined: NDArray[np.float64] = np.tensordot(weights, ratios, axes=1)
    return joined


def _interval(
    sums: Sequence[NDArray[np.float64]],
    statistic: Callable[..., NDArray[np.float64]],
    *,
    seed: int,
    n_resamples: int,
    level: float,
) -> tuple[float | None, float | None]:
    from scipy.stats import bootstrap

    n_clusters = len(sums[0])
    if n_clusters < 2:
        return None, None
    drawn = bootstrap(
        tuple(sums),
        statistic,
        paired=True,
        vectorized=True,
        method="percentile",
        confidence_level=level,
        n_resamples=n_resamples,
        batch=max(1, _CELLS_AT_A_TIME // n_clusters),
        rng=np.random.default_rng(seed),
    )
    ends = float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)
    return ends if all(map(math.isfinite, ends)) else (None, None)
