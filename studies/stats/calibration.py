"""Do probabilities mean what they say: the reliability diagram in bins of equal mass, and its summary.

Equal confidences form one block and stay in one bin, so that the result does not depend on row order. The
error over bins depends on their number and grows with noise: proper scores (`studies.stats.proper`) judge
methods, the diagram shows where they go wrong. Left out: kernel estimates and classwise diagrams.

References
----------
Niculescu-Mizil, A. and Caruana, R. (2005). Predicting good probabilities with supervised learning. ICML.
Nguyen, K. and O'Connor, B. (2015). Posterior calibration and exploratory analysis for natural language
processing models. EMNLP (bins of equal mass).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

N_BINS = 10


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reliability:
    """Confidence and accuracy by bins, the least sure first."""

    bin_of: NDArray[np.int64]
    """(n_questions,) bin of each question."""
    confidence: NDArray[np.float64]
    """(n_bins,) mean confidence."""
    accuracy: NDArray[np.float64]
    """(n_bins,) mean credit."""
    counts: NDArray[np.int64]
    """(n_bins,) questions, none empty."""

    @property
    def error(self) -> float:
        """Mean distance of accuracy from confidence over questions (expected calibration error)."""
        distance = np.abs(self.accuracy - self.confidence)
        return float((self.counts * distance).sum() / self.counts.sum())

    @property
    def overconfidence(self) -> float:
        """Mean confidence minus accuracy over all questions; it needs no bins."""
        return float((self.counts * (self.confidence - self.accuracy)).sum() / self.counts.sum())


def reliability(confidence: ArrayLike, credit: ArrayLike, *, n_bins: int = N_BINS) -> Reliability:
    """Reliability diagram of a method.

    Parameters
    ----------
    confidence : (n_questions,) array_like of float
        Probability of the chosen option, in [0, 1].
    credit : (n_questions,) array_like of float
        Credit in [0, 1].
    n_bins : int
        Bins of about equal mass at most; fewer are left where many confidences are equal.

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError
        If the input is empty, of unequal lengths or outside [0, 1], or there is no bin.

    Examples
    --------
    >>> found = reliability([0.6, 0.6, 0.9, 0.9], [1, 0, 1, 1], n_bins=2)
    >>> found.confidence.tolist(), found.accuracy.tolist(), round(found.error, 3)
    ([0.6, 0.9], [0.5, 1.0], 0.1)
    """
    sure, right = np.asarray(confidence, dtype=np.float64), np.asarray(credit, dtype=np.float64)
    if sure.ndim != 1 or sure.shape != right.shape or len(sure) == 0:
        raise ValueError(
            "confidence and credit must be equally long and not empty, got shapes "
            f"{sure.shape} and {right.shape}"
        )
    if n_bins < 1:
        raise ValueError(f"got {n_bins} bins, expected 1 or more")
    for name, values in (("confidence", sure), ("credit", right)):
        # Negated, so that NaN fails.
        if not ((values >= -1e-9) & (values <= 1 + 1e-9)).all():
            raise ValueError(f"{name} must lie in [0, 1], got {values.min()} to {values.max()}")
    _, block, size = np.unique(sure, return_inverse=True, return_counts=True)
    # A block goes where its middle question belongs.
    middle = np.cumsum(size) - size / 2
    _, bin_of_block = np.unique(np.floor(middle * n_bins / len(sure)), return_inverse=True)
    bin_of = np.asarray(bin_of_block[block], dtype=np.int64)
    counts = np.bincount(bin_of)
    return Reliability(
        bin_of=bin_of,
        confidence=np.bincount(bin_of, weights=sure) / counts,
        accuracy=np.bincount(bin_of, weights=right) / counts,
        counts=counts,
    )
