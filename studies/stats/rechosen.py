"""What a choice is worth on questions that it was not made on: chosen anew in every resample of families.

The best of many candidates flatters itself on the questions it was chosen on. Here each bootstrap resample
of families chooses its own best, which is scored on the families that the resample left out, so that the
choice is part of what varies and nothing is fitted again. Left out: candidates whose losses are not known
on every question, such as trials that were stopped early.

References
----------
Tsamardinos, I., Greasidou, E. and Borboudakis, G. (2018). Bootstrapping the out-of-sample predictions for
efficient and accurate cross-validation. Machine Learning 107.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.stats.estimate import Estimate

RESAMPLES_AT_ONCE = 200
FEWEST_FAMILIES = 2


def rechosen_estimate(
    losses: ArrayLike,
    families: ArrayLike,
    *,
    rivals: ArrayLike | None = None,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean loss of the best candidate, or its difference to the best rival, where neither choice was made.

    Parameters
    ----------
    losses : (n_candidates, n_questions) array_like of float
        Loss of each candidate; the least mean is chosen, of equal ones the first.
    families : (n_questions,) array_like
        Family of each question.
    rivals : (n_rivals, n_questions) array_like of float, optional
        Chosen from in the same way, on the same resamples; then the result is candidate minus rival.
    level : float
        Nominal coverage, in (0, 1).
    n_boot : int
        Resamples, at least 1.
    seed : int

    Returns
    -------
    Estimate
        Mean over resamples, each scored on the families it left out (37 % on average, so that the interval
        is wider than one of all questions), and their quantiles.

    Raises
    ------
    ValueError
        If shapes do not fit, a loss is not finite, there is one family only, or ``level`` or ``n_boot`` is
        out of range.

    Examples
    --------
    >>> found = rechosen_estimate([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], ["a", "b", "c"])
    >>> found.value, found.low, found.high
    (1.0, 1.0, 1.0)
    """
    if not 0 < level < 1 or n_boot < 1:
        raise ValueError(f"level must lie in (0, 1) and n_boot be at least 1, got {level} and {n_boot}")
    _, family = np.unique(np.asarray(families), return_inverse=True)
    counts = np.bincount(family).astype(np.float64)
    if len(counts) < FEWEST_FAMILIES:
        raise ValueError(
            f"got {len(counts)} family, expected {FEWEST_FAMILIES} or more: some must be left out"
        )
    sums = _family_sums(losses, family)
    rival_sums = None if rivals is None else _family_sums(rivals, family)
    rng, found = np.random.default_rng(seed), []
    for start in range(0, n_boot, RESAMPLES_AT_ONCE):
        n = min(RESAMPLES_AT_ONCE, n_boot - start)
        drawn = rng.multinomial(len(counts), np.full(len(counts), 1 / len(counts)), size=n).astype(np.float64)
        drawn = drawn[(drawn == 0).any(axis=1)]
        value = _left_out_means(sums, counts, drawn)
        found.append(value if rival_sums is None else value - _left_out_means(rival_sums, counts, drawn))
    values = np.concatenate(found)
    if not len(values):
        raise ValueError(f"got {n_boot} resamples that leave no family out, expected more resamples")
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    mean = float(values.mean())
    return Estimate(
        value=mean, low=min(float(low), mean), high=max(float(high), mean), level=level, n=len(family)
    )


def _family_sums(losses: ArrayLike, family: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the summed loss of each candidate in each family, (n_candidates, n_families)."""
    array = np.asarray(losses, dtype=np.float64)
    if array.ndim != 2 or not len(array) or array.shape[1] != len(family):
        raise ValueError(f"losses must have shape (n_candidates, {len(family)}), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"losses must be finite, got {int((~np.isfinite(array)).sum())} that are not")
    return np.stack([np.bincount(family, weights=row) for row in array])


def _left_out_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], drawn: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return, per resample, the mean loss of its best candidate on what it left out."""
    # Sums over the same questions: the least sum is the least mean.
    best = (drawn @ sums.T).argmin(axis=1)
    out = (drawn == 0).astype(np.float64)
    total = np.einsum("bf,bf->b", out, sums[best])
    return np.asarray(total / (out @ counts), dtype=np.float64)
