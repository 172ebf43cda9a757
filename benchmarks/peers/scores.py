"""Scores of finished cells, ours and the peers' by the same functions.

Of a grouped task a score is that of a question, after `ensembles.choice.question_probabilities` has made its
options' probabilities add up to one; of an ungrouped one it is that of a row. A failed cell scores as chance.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from run import Cell
from tasks import FACTS, Task, read_task, task_folder

from ensembles.choice import credit, question_index, question_log_loss, question_probabilities

SMALLEST = 1e-9
"""Floor of a probability, that of `ensembles.choice`."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scored:
    """One cell and what it earned."""

    cell: Cell
    error: str | None
    """Why it failed."""
    wall_s: float
    cpu_s: float | None
    log_loss: NDArray[np.float64]
    """(n_scored,) natural log, of each question or row."""
    credit: NDArray[np.float64]
    """(n_scored,) 1 right, 0 wrong, shared among ties."""
    families: NDArray[np.int64]
    """(n_scored,) what intervals resample."""


def read_cells(tasks: Path, results: Path, grid: Iterator[Cell]) -> list[Scored]:
    """Return the cells of a grid that are done, scored."""
    found = []
    for cell in grid:
        place, folder = cell.place(results), task_folder(tasks, cell.task, cell.seed)
        if (folder / FACTS).exists() and place.with_suffix(".json").exists():
            facts: dict[str, Any] = json.loads(place.with_suffix(".json").read_text())
            task = read_task(folder)
            prob = np.load(place.with_suffix(".npy")) if facts["status"] == "ok" else chance(task)
            log_loss, earned, families = score(task, prob)
            found.append(
                Scored(
                    cell=cell,
                    error=facts["error"],
                    wall_s=facts["wall_s"],
                    cpu_s=facts["cpu_s"],
                    log_loss=log_loss,
                    credit=earned,
                    families=families,
                )
            )
    return found


def chance(task: Task) -> NDArray[np.float64]:
    """Return equal probabilities."""
    return np.full((len(task.X_test), task.n_classes), 1 / task.n_classes)


def score(
    task: Task, prob: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Return log-loss, credit and family of each question of a grouped task, of each row of another."""
    if task.grouped:
        ids = task.questions_test
        share = question_probabilities(prob[:, 1], ids)
        first = np.unique(question_index(ids), return_index=True)[1]
        losses, earned = question_log_loss(share, ids, task.y_test), credit(share, ids, task.y_test)
        return losses, earned, task.families_test[first]
    share = np.maximum(prob, SMALLEST)
    share = share / share.sum(axis=1, keepdims=True)
    rows = np.arange(len(share))
    is_best = share == share.max(axis=1, keepdims=True)
    earned = is_best[rows, task.y_test] / is_best.sum(axis=1)
    return -np.log(share[rows, task.y_test]), earned, task.families_test
