"""Who is right where another is wrong: two methods on the same questions, and one against all.

Counts need right or wrong; ties are broken as in `studies.stats.comparison`, so that the counts agree with
its gains and losses. Left out: correlations of probabilities, which methods that only choose do not have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.stats.comparison import right_answers


@dataclass(frozen=True, kw_only=True, slots=True)
class Overlap:
    """Answers of methods a and b, counted in questions."""

    both_right: int
    a_only: int
    """Right answers of a where b is wrong."""
    b_only: int
    both_wrong: int

    @property
    def n(self) -> int:
        """Questions."""
        return self.both_right + self.a_only + self.b_only + self.both_wrong

    @property
    def error_ratio(self) -> float | None:
        """Common errors over those expected if errors were independent: 1 independent, below 1 complementary.

        None where one of the two makes no error.
        """
        expected = (self.both_wrong + self.b_only) * (self.both_wrong + self.a_only) / self.n
        return self.both_wrong / expected if expected else None

    @property
    def error_overlap(self) -> float | None:
        """Share of common errors among questions that either gets wrong (Jaccard); None without errors."""
        wrong = self.n - self.both_right
        return self.both_wrong / wrong if wrong else None


@dataclass(frozen=True, kw_only=True, slots=True)
class AloneAgainstAll:
    """A method against all others together, counted in questions."""

    alone_right: int
    """Questions that only this method answers right."""
    alone_wrong: int
    """Questions that only this method answers wrong."""


def overlap(credit_a: ArrayLike, credit_b: ArrayLike, *, seed: int = 0) -> Overlap:
    """Overlap of right and wrong answers.

    Parameters
    ----------
    credit_a, credit_b : (n_questions,) array_like of float
        Credit in [0, 1] of each method, same question order.
    seed : int
        Breaks ties, with the same draw for both methods.

    Raises
    ------
    ValueError
        If lengths differ, the input is empty, or a credit lies outside [0, 1].

    Examples
    --------
    >>> found = overlap([1, 1, 0, 0], [1, 0, 1, 0])
    >>> found.both_right, found.a_only, found.b_only, found.both_wrong, found.error_ratio
    (1, 1, 1, 1, 1.0)
    """
    a, b = right_answers(credit_a, seed=seed), right_answers(credit_b, seed=seed)
    if a.shape != b.shape or len(a) == 0:
        raise ValueError(f"credits must be of the same questions, got {len(a)} and {len(b)}")
    return Overlap(
        both_right=int((a & b).sum()),
        a_only=int((a & ~b).sum()),
        b_only=int((b & ~a).sum()),
        both_wrong=int((~a & ~b).sum()),
    )


def alone(credits_: Mapping[str, ArrayLike], *, seed: int = 0) -> dict[str, AloneAgainstAll]:
    """Count, for each of two or more methods, the questions where it differs from all the others.

    Parameters
    ----------
    credits_ : mapping of str to (n_questions,) array_like of float
    seed : int

    Examples
    --------
    >>> alone({"a": [1, 0, 1], "b": [0, 0, 1], "c": [0, 1, 1]})["a"]
    AloneAgainstAll(alone_right=1, alone_wrong=0)
    """
    right = {name: right_answers(credit, seed=seed) for name, credit in credits_.items()}
    n_right: NDArray[np.int64] = np.sum(list(right.values()), axis=0, dtype=np.int64)
    return {
        name: AloneAgainstAll(
            alone_right=int((own & (n_right == 1)).sum()),
            alone_wrong=int((~own & (n_right == len(right) - 1)).sum()),
        )
        for name, own in right.items()
    }


def either_credit(credits_: Mapping[str, ArrayLike], *, seed: int = 0) -> NDArray[np.float64]:
    """Credit of an oracle that picks, per question, a method that is right where there is one.

    Examples
    --------
    >>> either_credit({"a": [1, 0, 0], "b": [0, 0, 1]}).tolist()
    [1.0, 0.0, 1.0]
    """
    right = [right_answers(credit, seed=seed) for credit in credits_.values()]
    return np.asarray(np.any(right, axis=0), dtype=np.float64)
