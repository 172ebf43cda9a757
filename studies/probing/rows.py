"""A task on a stage as rows that a classifier can learn, and the way back from its probabilities to answers.

Three forms. Classes: a row per item. Options at an option-level stage: a row per option, right or wrong, and
the options' probabilities of being right are shared out within the item. Options at an example-level stage,
which cannot tell them apart: a row per item, whose classes are the texts of right answers; of their
probabilities those of the item's own options count.

Every probability is then mixed with the uniform one as if one more training item had been spread evenly over
the item's candidates: ``(n_train p + 1 / n_candidates) / (n_train + 1)``. What training never showed keeps a
probability, so that a code length exists, and all probes are treated alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.probing.stage import Stage
from studies.probing.tasks import ChoiceTask, Task

LEAST_PROB = 1e-6
"""Floor of a right label's probability, for training sets so large that the mixing gives less."""
_TIED = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """Rows of a classifier, and the candidates (classes or options) of each item among its outcomes."""

    X: NDArray[np.float64]
    """(n_rows, dim)"""
    target: NDArray[np.int64]
    """(n_rows,) class, in 0 to n_classes - 1."""
    n_classes: int
    item: NDArray[np.int64]
    """(n_candidates,) ascending."""
    row: NDArray[np.int64]
    """(n_candidates,) row that judges the candidate."""
    outcome: NDArray[np.int64]
    """(n_candidates,) its class; -1 for one that no answer has."""
    is_right: NDArray[np.bool_]
    """(n_candidates,) true once per item."""

    @property
    def n_items(self) -> int:
        """Number of items."""
        return int(self.item[-1]) + 1


def classes_of(stage: Stage, task: Task) -> NDArray[Any]:
    """Return the classes of a task's rows at a stage: labels, texts of right answers, or wrong and right."""
    if not isinstance(task, ChoiceTask):
        return np.unique(task.labels)
    if stage.level == "example":
        return np.unique(task.option[task.is_right])
    return np.array(["right", "wrong"])


def as_rows(stage: Stage, task: Task, classes: NDArray[Any]) -> Rows:
    """Return the rows of a task at a stage of the same items.

    Parameters
    ----------
    stage : Stage
    task : ClassTask or ChoiceTask
    classes : array of str
        From `classes_of`, of the whole task where these are some of its items.
    """
    if stage.n_items != task.n_items:
        raise ValueError(f"got {stage.n_items} items of stage {stage.name} for a task of {task.n_items}")
    n_items = task.n_items
    if not isinstance(task, ChoiceTask):
        X, target = stage.per_item(), np.searchsorted(classes, task.labels)
        item = np.repeat(np.arange(n_items), len(classes))
        outcome = np.tile(np.arange(len(classes)), n_items)
        row, is_right = item, outcome == target[item]
    elif stage.level == "example":
        X, target = stage.per_item(), np.searchsorted(classes, task.option[task.is_right])
        item, row, is_right = task.question, task.question, task.is_right
        place = np.minimum(np.searchsorted(classes, task.option), len(classes) - 1)
        outcome = np.where(classes[place] == task.option, place, -1)
    else:
        if stage.question is None or not np.array_equal(stage.question, task.question):
            raise ValueError(f"stage {stage.name} has other option rows than the task")
        X, target = np.asarray(stage.vectors, dtype=np.float64), (~task.is_right).astype(np.int64)
        item, row, is_right = task.question, np.arange(len(task.question)), task.is_right
        outcome = np.zeros(len(item), dtype=np.int64)
    assert np.isfinite(X).all(), f"stage {stage.name} has items without a vector, which the caller leaves out"
    return Rows(
        X=X, target=target, n_classes=len(classes), item=item, row=row, outcome=outcome, is_right=is_right
    )


def credit_and_log_prob(
    prob: NDArray[np.float64], rows: Rows, *, n_train: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what each item earns, and the natural log of the probability that its right label got.

    Parameters
    ----------
    prob : (n_rows, n_classes) array of float
    rows : Rows
    n_train : int
        Items that the classifier learned from: 0 for one that knows nothing.

    Returns
    -------
    credit, log_prob : (n_items,) ndarray of float
        Credit is 1, or 1/k of k candidates that tie for the best; the logarithm is at least ``log(1e-6)``.
    """
    of_candidate = np.where(rows.outcome >= 0, prob[rows.row, rows.outcome], 0.0)
    total, n_candidates = np.bincount(rows.item, weights=of_candidate), np.bincount(rows.item)
    known = total > 0
    share = np.where(
        known[rows.item],
        of_candidate / np.where(known, total, 1.0)[rows.item],
        1 / n_candidates[rows.item],
    )
    starts = np.flatnonzero(np.diff(rows.item, prepend=-1))
    is_best = share >= np.maximum.reduceat(share, starts)[rows.item] - _TIED
    credit = (is_best & rows.is_right)[rows.is_right] / np.bincount(rows.item, weights=is_best)
    mixed = (n_train * share[rows.is_right] + 1 / n_candidates) / (n_train + 1)
    return credit, np.log(np.maximum(mixed, LEAST_PROB))
