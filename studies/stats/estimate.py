"""A reported number with its interval, resampled by family (cluster bootstrap, percentile interval).

Questions are templated, so whole families are drawn with replacement, never single questions: the effective
sample is the number of families. Left out: bias-corrected and studentised intervals.

References
----------
Field, C. A. and Welsh, A. H. (2007). Bootstrapping clustered data. JRSS B 69(3).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

DRAWS_PER_CHUNK = 4_000_000
"""Family draws held in memory at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its interval, unrounded. ``dataclasses.asdict`` gives its form in ``summary.json``."""

    value: float
    low: float
    high: float
    level: float
    """Nominal coverage of the interval, in (0, 1)."""
    n: int
    """Questions that the number rests on."""


def mean_estimate(
    values: ArrayLike,
    families: ArrayLike | Sequence[str],
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean of per-question values with a cluster-bootstrap interval.

    The interval describes sampling of families. With one family, or the same mean in all families, it has
    width zero, which is no evidence of precision; `accuracy_estimate` guards against that.

    Parameters
    ----------
    values : (n_questions,) array_like of float
        One finite value per question (credit, log-loss, difference of credits, ...).
    families : (n_questions,) array_like of int or str
        Family of each question.
    level : float
        Nominal coverage, in (0, 1).
    n_boot : int
        Bootstrap replicates, at least 1.
    seed : int
        The same seed and families give the same draws, whatever the values.

    Returns
    -------
    Estimate
        Mean over questions; the interval is widened to contain it where rounding would leave it out.

    Raises
    ------
    ValueError
        If the input is empty, not finite, of unequal lengths, or ``level`` or ``n_boot`` is out of range.

    Examples
    --------
    >>> mean_estimate([1.0, 1.0, 0.0, 0.0], ["a", "a", "b", "b"])
    Estimate(value=0.5, low=0.0, high=1.0, level=0.95, n=4)
    """
    array = _checked(values, families, level=level, n_boot=n_boot)
    sums, counts = _family_totals(array, families)
    value = float(array.mean())
    means = _bootstrap_means(sums, counts, n_boot=n_boot, seed=seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(
        value=value, low=min(float(low), value), high=max(float(high), value), level=level, n=len(array)
    )


def accuracy_estimate(
    credit: ArrayLike,
    families: ArrayLike | Sequence[str],
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Accuracy with a cluster-bootstrap interval; Clopper-Pearson over families where the bootstrap is blind.

    When every family has the same mean (all right, all wrong, or a single family) each resample repeats the
    sample. The interval is then the exact binomial one with the number of families as sample size.

    Parameters
    ----------
    credit : (n_questions,) array_like of float
        Credit in [0, 1]: 1 right, 0 wrong, 1/k for a tie between k options that includes the right one.
    families, level, n_boot, seed
        As in `mean_estimate`.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        As in `mean_estimate`, and if a credit lies outside [0, 1].

    Examples
    --------
    >>> estimate = accuracy_estimate([1.0] * 10, range(10))
    >>> round(estimate.low, 3), estimate.high
    (0.692, 1.0)
    """
    array = _checked(credit, families, level=level, n_boot=n_boot)
    if array.min() < 0 or array.max() > 1:
        raise ValueError(
            f"credit must lie in [0, 1], got values from {array.min()} to {array.max()}: "
            "accuracy is a mean of shares of a right answer"
        )
    sums, counts = _family_totals(array, families)
    if np.ptp(sums / counts) > 1e-12:  # thirds do not add up to the last bit
        return mean_estimate(array, families, level=level, n_boot=n_boot, seed=seed)
    value, n_families = float(array.mean()), len(sums)
    right, tail = value * n_families, (1 - level) / 2
    low = float(stats.beta.ppf(tail, right, n_families - right + 1)) if right > 0 else 0.0
    high = float(stats.beta.ppf(1 - tail, right + 1, n_families - right)) if right < n_families else 1.0
    return Estimate(value=value, low=low, high=high, level=level, n=len(array))


def _checked(
    values: ArrayLike, families: ArrayLike | Sequence[str], *, level: float, n_boot: int
) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    n_families = len(np.asarray(families))
    if array.ndim != 1 or len(array) == 0 or len(array) != n_families:
        raise ValueError(
            f"values and families must be one-dimensional, equally long and not empty, got shape "
            f"{array.shape} and length {n_families}"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"values must be finite, got {int((~np.isfinite(array)).sum())} that are not")
    if not 0 < level < 1 or n_boot < 1:
        raise ValueError(f"level must lie in (0, 1) and n_boot be at least 1, got {level} and {n_boot}")
    return array


def _family_totals(
    values: NDArray[np.float64], families: ArrayLike | Sequence[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    _, family = np.unique(np.asarray(families), return_inverse=True)
    counts = np.bincount(family).astype(np.float64)
    return np.bincount(family, weights=values).astype(np.float64), counts


def _bootstrap_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], *, n_boot: int, seed: int
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    n_families = len(sums)
    chunk = max(1, DRAWS_PER_CHUNK // n_families)
    means = np.empty(n_boot)
    for start in range(0, n_boot, chunk):
        stop = min(start + chunk, n_boot)
        drawn = rng.integers(n_families, size=(stop - start, n_families))
        means[start:stop] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means
