"""The nine columns of the ScienceQA leaderboard, each with the number of questions behind it.

Rules of the official ``evaluate_acc.py``: NAT, SOC and LAN by subject; TXT where the hint is not empty, with
or without an image; IMG where there is an image, with or without a hint; NO where there is neither; G1-6
and G7-12 by grade; Avg over all. Unlike there, subject and grade may be missing: a column covers the
questions where its field is known. Beside them the accuracies per topic.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from llava_core.data.example import Example
from llava_core.evaluation.answers import PublishedAnswers, read_answers

__all__ = ["COLUMNS", "Column", "PublishedAnswers", "columns", "read_answers", "topics"]

COLUMNS = ("NAT", "SOC", "LAN", "TXT", "IMG", "NO", "G1-6", "G7-12", "Avg")
"""In the order of the published tables."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """Accuracy on the questions of one column."""

    credit: float
    """Sum of the credit; a whole number where no method shares credit between ties."""
    n: int
    """Questions known to belong to the column."""
    n_unknown: int
    """Questions of which it is not known whether they belong."""
    note: str = ""

    @property
    def accuracy(self) -> float | None:
        """Credit per question; None for an empty column."""
        return self.credit / self.n if self.n else None


def columns(credit: ArrayLike, examples: Sequence[Example]) -> dict[str, Column]:
    """Return the nine columns of a model.

    Parameters
    ----------
    credit : array-like, shape (n_questions,)
        1 for a right answer, 0 for a wrong one, a share for a tie.
    examples : sequence of Example
        The questions, in the same order.

    Returns
    -------
    dict of str to Column
        In the order of `COLUMNS`.

    Raises
    ------
    ValueError
        If there is not one credit per question.

    References
    ----------
    Lu, P. et al. (2022). Learn to explain: multimodal reasoning via thought chains for science question
    answering. NeurIPS. https://github.com/lupantech/ScienceQA, ``evaluate_acc.py``.

    Examples
    --------
    >>> example = Example(
    ...     id="1", question="Is it?", options=("no", "yes"), answer=1, split="test", group="a",
    ...     subject="natural science", grade="grade7", has_image=True,
    ... )
    >>> {name: (c.credit, c.n) for name, c in columns([1], [example]).items() if c.n}
    {'NAT': (1.0, 1), 'IMG': (1.0, 1), 'G7-12': (1.0, 1), 'Avg': (1.0, 1)}
    """
    credits = _credits(credit, examples)
    n_unhinted = sum(example.has_image and example.hint is None for example in examples)
    table = {}
    for name, belongs in _BELONGS.items():
        known = [belongs(example) for example in examples]
        inside = np.array([value is True for value in known], dtype=bool)
        n_unknown = sum(value is None for value in known)
        note = f"unknown for {n_unknown} of {len(examples)} questions" if n_unknown else ""
        if name == "TXT" and n_unhinted:
            note = f"{n_unhinted} image questions without a hint count as having none"
        table[name] = Column(
            credit=float(credits[inside].sum()), n=int(inside.sum()), n_unknown=n_unknown, note=note
        )
    return table


def topics(credit: ArrayLike, examples: Sequence[Example]) -> dict[str, Column]:
    """Return the accuracy on the questions of each topic, 26 of them in the whole of ScienceQA.

    Parameters
    ----------
    credit : array-like, shape (n_questions,)
        As for `columns`.
    examples : sequence of Example

    Returns
    -------
    dict of str to Column
        By topic, in alphabetical order; empty where no topic is known.

    Raises
    ------
    ValueError
        If there is not one credit per question.
    """
    credits = _credits(credit, examples)
    inside: dict[str, list[float]] = {}
    for value, example in zip(credits.tolist(), examples, strict=True):
        if example.topic is not None:
            inside.setdefault(example.topic, []).append(value)
    n_unknown = sum(example.topic is None for example in examples)
    return {
        topic: Column(credit=sum(values), n=len(values), n_unknown=n_unknown)
        for topic, values in sorted(inside.items())
    }


def grade_number(grade: str | None) -> int | None:
    """Return the number in a grade such as ``grade11``; None if there is none.

    Examples
    --------
    >>> grade_number("grade11"), grade_number("kindergarten")
    (11, None)
    """
    digits = (grade or "").removeprefix("grade")
    return int(digits) if digits.isdecimal() else None


def _credits(credit: ArrayLike, examples: Sequence[Example]) -> NDArray[np.float64]:
    credits = np.asarray(credit, dtype=float)
    if credits.shape != (len(examples),):
        raise ValueError(f"got credit of shape {credits.shape} for {len(examples)} questions")
    return credits


def _subject(name: str) -> Callable[[Example], bool | None]:
    return lambda example: None if example.subject is None else example.subject == name


def _grades(low: int, high: int) -> Callable[[Example], bool | None]:
    def belongs(example: Example) -> bool | None:
        grade = grade_number(example.grade)
        return None if grade is None else low <= grade <= high

    return belongs


_BELONGS: Mapping[str, Callable[[Example], bool | None]] = {
    "NAT": _subject("natural science"),
    "SOC": _subject("social science"),
    "LAN": _subject("language science"),
    "TXT": lambda example: bool(example.hint),
    "IMG": lambda example: example.has_image,
    "NO": lambda example: not example.hint and not example.has_image,
    "G1-6": _grades(1, 6),
    "G7-12": _grades(7, 12),
    "Avg": lambda example: True,
}
