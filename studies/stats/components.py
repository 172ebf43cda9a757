"""How much of a mean's uncertainty comes from the seeds of a training, and how much from the questions.

The same questions are scored after trainings that differ in their seed alone: a table of questions by seeds,
``y[q, s] = mean + question[q] + seed[s] + rest[q, s]``, all four independent. Mean squares are set to what
they are expected to be (the ANOVA estimator of a crossed design with one value per cell); what comes out
below zero is told as zero. Left out: families. Questions of one family are alike, so that the interval of a
mean over questions must still be drawn by family (`studies.stats.mean_estimate`).

References
----------
Searle, S. R., Casella, G. and McCulloch, C. E. (1992). Variance Components, section 4.4.
Satterthwaite, F. E. (1946). An approximate distribution of estimates of variance components. Biometrics 2.
Bouthillier, X. et al. (2021). Accounting for Variance in Machine Learning Benchmarks. MLSys 3.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t


@dataclass(frozen=True, kw_only=True, slots=True)
class Components:
    """Variances of the parts of a value."""

    question: float
    """Between questions."""
    seed: float
    """Between trainings: what all questions share of another seed."""
    rest: float
    """What a seed changes in one question and not in others."""
    n_questions: int
    n_seeds: int

    @property
    def of_mean_by_seed(self) -> float:
        """Variance of the mean over all questions and seeds that other seeds would bring."""
        return self.seed / self.n_seeds + self.rest / (self.n_seeds * self.n_questions)

    @property
    def of_mean_by_question(self) -> float:
        """Variance of the same mean that other questions would bring, were they independent."""
        return self.question / self.n_questions + self.rest / (self.n_seeds * self.n_questions)


def variance_components(values: ArrayLike) -> Components:
    """Return the variance between questions, between seeds, and the rest.

    Parameters
    ----------
    values : (n_questions, n_seeds) array_like of float

    Raises
    ------
    ValueError
        If there are fewer than two questions or seeds, or a value is not finite.

    Examples
    --------
    >>> parts = variance_components([[0.0, 1.0], [2.0, 3.0]])
    >>> parts.question, parts.seed, parts.rest
    (2.0, 0.5, 0.0)
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2 or not np.isfinite(table).all():
        raise ValueError(
            f"got shape {table.shape}, allowed are finite values of 2 or more questions and seeds"
        )
    n_questions, n_seeds = table.shape
    by_question, by_seed = table.mean(1), table.mean(0)
    left = table - by_question[:, None] - by_seed[None] + table.mean()
    rest = float((left**2).sum() / ((n_questions - 1) * (n_seeds - 1)))
    question = n_seeds * float(by_question.var(ddof=1))
    seed = n_questions * float(by_seed.var(ddof=1))
    return Components(
        question=max(0.0, (question - rest) / n_seeds),
        seed=max(0.0, (seed - rest) / n_questions),
        rest=rest,
        n_questions=n_questions,
        n_seeds=n_seeds,
    )


def half_width(*, by_seed: float, by_question: float, n_seeds: int, level: float) -> float:
    """Return the half width of a mean's interval that holds for other seeds and other questions.

    The variance of a few seeds is itself uncertain: Student's t, with Satterthwaite's degrees of freedom for
    the sum of both, as if that of the questions were known.

    Parameters
    ----------
    by_seed, by_question : float
        Variances of the mean that other seeds, and other questions, would bring.
    n_seeds : int
        2 or more.
    level : float
        Nominal coverage, in (0, 1).

    Examples
    --------
    >>> round(half_width(by_seed=1.0, by_question=0.0, n_seeds=3, level=0.95), 2)
    4.3
    >>> round(half_width(by_seed=0.0, by_question=1.0, n_seeds=3, level=0.95), 2)
    1.96
    """
    variance = by_seed + by_question
    freedom = (n_seeds - 1) * (variance / by_seed) ** 2 if by_seed > 0 else np.inf
    return float(t.ppf((1 + level) / 2, freedom) * np.sqrt(variance))
