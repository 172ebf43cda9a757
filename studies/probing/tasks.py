"""What is read off vectors: one class per item, or the right one of an item's options.

An item is what a score is about: a question, or a row of a user's table.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Items = NDArray[np.intp]
"""Positions of items."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ClassTask:
    """Each item has one label, of a set that all items share."""

    labels: NDArray[Any]
    """(n_items,) of str."""
    kind: ClassVar[str] = "class"

    def __post_init__(self) -> None:
        if self.labels.ndim != 1 or len(self.labels) == 0:
            raise ValueError(f"got labels of shape {self.labels.shape}, expected one per item")

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.labels)

    def take(self, items: Items) -> "ClassTask":
        """Return the task of some items, in the order given."""
        return ClassTask(labels=self.labels[items])


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ChoiceTask:
    """Each item has options with texts, one of which is right."""

    question: NDArray[np.int64]
    """(n_rows,) item of each option row, ascending, from 0 without a gap."""
    option: NDArray[Any]
    """(n_rows,) of str: its text."""
    is_right: NDArray[np.bool_]
    """(n_rows,) true for one row of each item."""
    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        check_ascending(self.question)
        if not len(self.question) == len(self.option) == len(self.is_right):
            raise ValueError(
                f"got {len(self.question)} items, {len(self.option)} texts, {len(self.is_right)} marks of "
                "option rows, expected as many of each"
            )
        n_right = np.bincount(self.question, weights=self.is_right)
        if (n_right != 1).any():
            item = int(np.flatnonzero(n_right != 1)[0])
            raise ValueError(f"item {item} has {int(n_right[item])} right options, expected one")

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.question[-1]) + 1

    def take(self, items: Items) -> "ChoiceTask":
        """Return the task of some items, in the order given, numbered anew."""
        rows, question = rows_of(self.question, items)
        return ChoiceTask(question=question, option=self.option[rows], is_right=self.is_right[rows])


Task = ClassTask | ChoiceTask


def check_ascending(question: NDArray[np.int64]) -> None:
    """Raise ValueError unless items of rows are 0, 1, 2 ..., each row beside the others of its item."""
    steps = np.diff(question)
    if len(question) == 0 or question[0] != 0 or ((steps != 0) & (steps != 1)).any():
        raise ValueError("items of option rows must ascend from 0 without a gap")


def rows_of(question: NDArray[np.int64], items: Items) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Return the rows of some items, in the order of the items, and the items numbered anew.

    Examples
    --------
    >>> rows, question = rows_of(np.array([0, 0, 1, 2, 2]), np.array([2, 0]))
    >>> rows.tolist(), question.tolist()
    ([3, 4, 0, 1], [0, 0, 1, 1])
    """
    sizes = np.bincount(question)
    starts = np.cumsum(sizes) - sizes
    taken = sizes[items]
    numbered = np.repeat(np.arange(len(items)), taken)
    within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)
    return np.asarray(starts[items][numbered] + within, dtype=np.intp), numbered
