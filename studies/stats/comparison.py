"""Two methods on the same questions: paired difference, exact McNemar test, gains, losses; Holm's correction.

The difference is the figure to read: McNemar's p ignores families and is too small where they are large,
which the cluster interval beside it is not. Left out: tests for more than two methods at once.

References
----------
McNemar, Q. (1947). Note on the sampling error of the difference between correlated proportions.
Psychometrika 12.
Holm, S. (1979). A simple sequentially rejective multiple test procedure. Scand. J. Statistics 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from studies.stats.estimate import Estimate, mean_estimate


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """Method a against method b on the same questions."""

    difference: Estimate
    """Accuracy of a minus accuracy of b, paired, resampled by family."""
    mcnemar_p: float
    """Two-sided exact p; 1 where the methods never differ."""
    gains: int
    """Questions that a answers right and b wrong."""
    losses: int
    """Questions that a answers wrong and b right."""
    n: int


def compare(
    credit_a: ArrayLike,
    credit_b: ArrayLike,
    families: ArrayLike | Sequence[str],
    *,
    level: float = 0.95,
    n_boot: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two methods on the same questions.

    The difference keeps partial credit. Counting needs right or wrong, so a tie of credit c is right with
    probability c: one uniform draw per question, shared by both methods, so that equal credits never count as
    a difference.

    Parameters
    ----------
    credit_a, credit_b : (n_questions,) array_like of float
        Credit in [0, 1] of each method, same question order.
    families : (n_questions,) array_like of int or str
        Family of each question.
    level, n_boot
        As in `mean_estimate`.
    seed : int
        Draws the resamples and breaks the ties.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If lengths differ, the input is empty, or a credit lies outside [0, 1].

    Examples
    --------
    >>> comparison = compare([1, 1, 1, 0], [1, 0, 0, 1], [0, 1, 2, 3])
    >>> comparison.difference.value, comparison.gains, comparison.losses, comparison.mcnemar_p
    (0.25, 2, 1, 1.0)
    """
    a, b = np.asarray(credit_a, dtype=np.float64), np.asarray(credit_b, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"credits must be of the same questions, got shapes {a.shape} and {b.shape}")
    difference = mean_estimate(a - b, families, level=level, n_boot=n_boot, seed=seed)
    right_a, right_b = right_answers(a, seed=seed), right_answers(b, seed=seed)
    gains, losses = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    p = float(stats.binomtest(gains, gains + losses, 0.5).pvalue) if gains + losses else 1.0
    return Comparison(difference=difference, mcnemar_p=p, gains=gains, losses=losses, n=len(a))


def right_answers(credit: ArrayLike, *, seed: int = 0) -> NDArray[np.bool_]:
    """Whether each answer is right once ties are broken: a credit of c is right with probability c.

    Parameters
    ----------
    credit : (n_questions,) array_like of float
        In [0, 1].
    seed : int
        The same seed gives the same draw per question, whatever the credits.

    Raises
    ------
    ValueError
        If a credit lies outside [0, 1].

    Examples
    --------
    >>> right_answers([1.0, 0.0, 1.0]).tolist()
    [True, False, True]
    """
    array = np.asarray(credit, dtype=np.float64)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(
            "credit must lie in [0, 1]: it is the probability of being right once ties are broken"
        )
    # A stream of its own: the same draws as the bootstrap's would tie the two together.
    return np.asarray(np.random.default_rng([seed, 1]).random(len(array)) < array)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for the number of tests (Holm's step-down, family-wise error), in the order given.

    Raises
    ------
    ValueError
        If a p-value lies outside [0, 1].

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if len(p) == 0:
        return []
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values must lie in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
