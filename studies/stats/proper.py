"""Proper scores of the probabilities over a question's options: log-loss and Brier score, per question.

Inputs are option rows, as in the predictions table; the row order is free. Left out: calibration diagrams.

References
----------
Gneiting, T. and Raftery, A. E. (2007). Strictly proper scoring rules, prediction, and estimation. JASA 102.
Brier, G. W. (1950). Verification of forecasts expressed in terms of probability. Monthly Weather Review 78.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

SMALLEST_PROB = 1e-15
"""Floor under the right option's probability; one certain error then costs 34.5 nats, not infinity."""
SUM_TOLERANCE = 1e-3
"""Allowed departure of a question's probabilities from 1 (they may have been stored as float32)."""


def log_loss(prob: ArrayLike, questions: ArrayLike, correct: ArrayLike) -> NDArray[np.float64]:
    """Negative natural log of the right option's probability, per question.

    Parameters
    ----------
    prob : (n_rows,) array_like of float
        Probability of each option; sums to 1 within a question.
    questions : (n_rows,) array_like of int or str
        Question of each row.
    correct : (n_rows,) array_like of bool
        Whether the option is the right one; exactly one per question.

    Returns
    -------
    (n_questions,) ndarray
        In sorted order of the question ids. Uniform guessing over k options costs ``log(k)``.

    Raises
    ------
    ValueError
        If probabilities are not finite, negative or do not sum to 1, or a question has not one right option.

    Examples
    --------
    >>> log_loss([0.5, 0.5, 0.25, 0.75], [1, 1, 2, 2], [True, False, False, True]).round(3).tolist()
    [0.693, 0.288]
    """
    probs, question, right = _checked(prob, questions, correct)
    right_prob = np.bincount(question, weights=probs * right).astype(np.float64)
    return -np.log(np.maximum(right_prob, SMALLEST_PROB))


def brier(prob: ArrayLike, questions: ArrayLike, correct: ArrayLike) -> NDArray[np.float64]:
    """Sum of squared errors over the options, per question: 0 is certain and right, 2 certain and wrong.

    Parameters, order of the result and errors are those of `log_loss`.

    Examples
    --------
    >>> brier([0.5, 0.5, 1.0, 0.0], [1, 1, 2, 2], [True, False, False, True]).tolist()
    [0.5, 2.0]
    """
    probs, question, right = _checked(prob, questions, correct)
    return np.bincount(question, weights=(probs - right) ** 2).astype(np.float64)


def _checked(
    prob: ArrayLike, questions: ArrayLike, correct: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]:
    probs, right = np.asarray(prob, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    ids = np.asarray(questions)
    if not (probs.shape == right.shape == ids.shape) or probs.ndim != 1 or len(probs) == 0:
        raise ValueError(
            f"prob, questions and correct must be equally long and not empty, got shapes {probs.shape}, "
            f"{ids.shape} and {right.shape}"
        )
    names, question = np.unique(ids, return_inverse=True)
    if not np.isfinite(probs).all() or probs.min() < 0:
        raise ValueError(
            "probabilities must be finite and not negative; a method without them has no proper score"
        )
    total = np.bincount(question, weights=probs)
    n_right = np.bincount(question, weights=right)
    for name, what, got in (("probabilities", total, 1.0), ("right options", n_right, 1.0)):
        off = np.flatnonzero(np.abs(what - got) > SUM_TOLERANCE)
        if len(off):
            raise ValueError(f"question {names[off[0]]!r}: {name} sum to {what[off[0]]:.6g}, expected 1")
    return probs, question, right
