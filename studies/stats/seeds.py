"""Several seeds of one method on the same questions: how much is the seed, how much the questions.

The two are told apart since they call for different remedies: more seeds, or more questions. Left out: the
interaction of the two, which a table of rights and wrongs cannot separate from noise.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedVariation:
    """Accuracy over seeds, as fractions."""

    mean: float
    seed_sd: float
    """Standard deviation of the accuracy between seeds (with n - 1)."""
    question_se: float
    """Standard error of the mean over questions, of credits averaged over seeds, by family."""
    lowest: float
    highest: float
    n_seeds: int
    n: int
    """Questions that all seeds answered."""


def seed_variation(credit: ArrayLike, families: ArrayLike | Sequence[str]) -> SeedVariation:
    """Split the variation of an accuracy into that of seeds and that of questions.

    Parameters
    ----------
    credit : (n_seeds, n_questions) array_like of float
        Credit in [0, 1].
    families : (n_questions,) array_like of int or str
        Family of each question.

    Raises
    ------
    ValueError
        If there are fewer than two seeds, no question, or not a family per question.

    Examples
    --------
    >>> found = seed_variation([[1, 1, 0, 0], [1, 1, 1, 0]], [0, 1, 2, 3])
    >>> found.mean, round(found.seed_sd, 3), round(found.question_se, 3)
    (0.625, 0.177, 0.207)
    """
    table = np.asarray(credit, dtype=np.float64)
    if (
        table.ndim != 2
        or len(table) < 2
        or table.shape[1] == 0
        or table.shape[1] != len(np.asarray(families))
    ):
        raise ValueError(
            f"credit must be two seeds or more by questions, with a family per question, got shape "
            f"{table.shape} and {len(np.asarray(families))} families"
        )
    by_seed, by_question = table.mean(axis=1), table.mean(axis=0)
    _, family = np.unique(np.asarray(families), return_inverse=True)
    totals = np.bincount(family, weights=by_question - by_question.mean())
    return SeedVariation(
        mean=float(table.mean()),
        seed_sd=float(by_seed.std(ddof=1)),
        question_se=float(np.sqrt((totals**2).sum()) / table.shape[1]),
        lowest=float(by_seed.min()),
        highest=float(by_seed.max()),
        n_seeds=len(table),
        n=table.shape[1],
    )
