"""Answering only when sure: risk-coverage curve, AURC, AUGRC, and the coverage reached at a given risk.

Equal confidences form one block: a threshold cannot split it, so losses within a block are averaged, and the
result does not depend on row order.

References
----------
Geifman, Y., Uziel, G. and El-Yaniv, R. (2019). Bias-reduced uncertainty estimation for deep neural
classifiers. ICLR.
Traub, J. et al. (2024). Overcoming common flaws in the evaluation of selective classification systems.
NeurIPS (AUGRC).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class RiskCoverage:
    """Selective risk after answering the k surest questions, k = 1 ... n_questions."""

    coverage: NDArray[np.float64]
    """(n_questions,) share of questions answered, in (0, 1]."""
    risk: NDArray[np.float64]
    """(n_questions,) mean loss over the answered ones."""
    reachable: NDArray[np.bool_]
    """(n_questions,) whether a threshold on the confidence answers exactly these."""


def risk_coverage(confidence: ArrayLike, credit: ArrayLike) -> RiskCoverage:
    """Risk-coverage curve of a method.

    Parameters
    ----------
    confidence : (n_questions,) array_like of float
        Higher is surer, e.g. the probability of the chosen option. Only the order matters.
    credit : (n_questions,) array_like of float
        Credit in [0, 1]; the loss is one minus it.

    Returns
    -------
    RiskCoverage

    Raises
    ------
    ValueError
        If the input is empty, not finite or of unequal lengths.

    Examples
    --------
    >>> risk_coverage([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1]).risk.round(3).tolist()
    [0.0, 0.0, 0.333, 0.25]
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(credit, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or len(sure) == 0:
        raise ValueError(
            "confidence and credit must be equally long and not empty, got shapes "
            f"{sure.shape} and {right.shape}"
        )
    if not np.isfinite(sure).all() or not np.isfinite(right).all():
        raise ValueError(
            "confidence and credit must be finite; a method without probabilities has no such curve"
        )
    levels, block = np.unique(-sure, return_inverse=True)
    size = np.bincount(block, minlength=len(levels))
    block_loss = np.bincount(block, weights=1 - right) / size
    answered = np.arange(1, len(sure) + 1)
    return RiskCoverage(
        coverage=answered / len(sure),
        risk=np.cumsum(np.repeat(block_loss, size)) / answered,
        reachable=np.isin(answered, np.cumsum(size)),
    )


def reachable_points(curve: RiskCoverage, *, most: int = 100) -> list[tuple[float, float]]:
    """Return at most ``most`` points (coverage, risk) of a curve that a threshold reaches, for drawing.

    The first and the last are kept, the others evenly by coverage; none is averaged.

    Examples
    --------
    >>> reachable_points(risk_coverage([0.9, 0.8, 0.8, 0.6], [1, 1, 0, 1]), most=2)
    [(0.25, 0.0), (1.0, 0.25)]
    """
    found = np.flatnonzero(curve.reachable)
    if len(found) > most:
        found = found[np.unique(np.linspace(0, len(found) - 1, most).round().astype(int))]
    return [(float(curve.coverage[place]), float(curve.risk[place])) for place in found]


def aurc(confidence: ArrayLike, credit: ArrayLike) -> float:
    """Area under the risk-coverage curve: mean selective risk over all coverages; lower is better.

    Examples
    --------
    >>> round(aurc([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1]), 4)
    0.1458
    """
    return float(risk_coverage(confidence, credit).risk.mean())


def augrc(confidence: ArrayLike, credit: ArrayLike) -> float:
    """Area under the generalised-risk-coverage curve (trapezoid from coverage 0); lower is better.

    The generalised risk is the share of all questions that are answered and wrong. For 0/1 credit the area is
    ``(1 - auroc) * accuracy * (1 - accuracy) + (1 - accuracy) ** 2 / 2``.

    Examples
    --------
    >>> augrc([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1])
    0.09375
    """
    curve = risk_coverage(confidence, credit)
    generalised = np.concatenate([[0.0], curve.risk * curve.coverage])
    return float(np.trapezoid(generalised, dx=1 / len(curve.risk)))


def coverage_at_risk(confidence: ArrayLike, credit: ArrayLike, risk: float) -> float:
    """Largest share of questions that one confidence threshold answers with a risk of at most ``risk``.

    The threshold is chosen on the same questions: this describes the ranking, no promise for new ones.

    Parameters
    ----------
    confidence, credit
        As in `risk_coverage`.
    risk : float
        Allowed mean loss, in [0, 1].

    Returns
    -------
    float
        In [0, 1]; 0 where no threshold is safe enough.

    Examples
    --------
    >>> coverage_at_risk([0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1], 0.02)
    0.5
    """
    if not 0 <= risk <= 1:
        raise ValueError(f"risk must lie in [0, 1], got {risk}")
    curve = risk_coverage(confidence, credit)
    allowed = curve.reachable & (curve.risk <= risk + 1e-12)
    return float(curve.coverage[allowed].max(initial=0.0))
