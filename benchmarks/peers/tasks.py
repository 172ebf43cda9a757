"""The tasks of the comparison, as plain arrays that every environment can read.

    python benchmarks/peers/tasks.py OUT --mini MINI [--store STORE] --scienceqa SCIENCEQA

A task is a folder of .npy files and a task.json. Grouped tasks are option rows, encoded once by the encoder
of the studies, fitted on train: Mini-ScienceQA, train_ensemble -> val, and the image questions of real
ScienceQA, train -> val. No row of a test part is laid out. Ungrouped tasks are scikit-learn's, halved by a
stratified split per seed. Reading a task needs numpy alone.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEEDS = (0, 1, 2)
GROUPED = ("bundled", "scienceqa")
UNGROUPED = ("breast_cancer", "digits", "wine")
TASKS = (*GROUPED, *UNGROUPED)
FACTS = "task.json"
RAW = "train.parquet"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Task:
    """Rows to learn from, rows to predict, and what belongs together."""

    name: str
    grouped: bool
    """Whether rows are options of questions; ``y`` is then 1 where the option is right."""
    X_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    questions_train: NDArray[np.int64]
    """Question of each row; of ungrouped tasks the row itself, as below."""
    groups_train: NDArray[np.int64]
    """What folds keep together: families, or questions where test shares families with train."""
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    questions_test: NDArray[np.int64]
    families_test: NDArray[np.int64]
    """What intervals resample; of ungrouped tasks the row's number in the whole data set."""
    raw_train: Path | None = None
    """Parquet file of the train rows before encoding, for who encodes within folds; grouped tasks only."""
    encoder: Mapping[str, Any] | None = None
    """Parameters of the `studies.design.DesignEncoder` that made the matrices; grouped tasks only."""

    @property
    def n_classes(self) -> int:
        """Number of labels."""
        return int(self.y_train.max()) + 1


def task_folder(tasks: Path, name: str, seed: int) -> Path:
    """Return the folder of a task; ungrouped ones have a split per seed."""
    return tasks / (name if name in GROUPED else f"{name}_seed{seed}")


def read_task(folder: Path) -> Task:
    """Return the task in a folder."""
    facts: dict[str, Any] = json.loads((folder / FACTS).read_text())
    arrays = {name: np.load(folder / f"{name}.npy") for name in _ARRAYS}
    return Task(
        name=facts["name"],
        grouped=facts["grouped"],
        raw_train=folder / RAW if facts["grouped"] else None,
        encoder=facts["encoder"],
        **arrays,
    )


def write_task(task: Task, folder: Path) -> None:
    """Write a task; task.json comes last, so its presence means that the rest is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        np.save(folder / f"{name}.npy", getattr(task, name), allow_pickle=False)
    n_train, n_features = task.X_train.shape
    facts = {
        "name": task.name,
        "grouped": task.grouped,
        "n_train": n_train,
        "n_test": len(task.X_test),
        "n_features": n_features,
        "n_groups_train": len(np.unique(task.groups_train)),
        "n_questions_test": len(np.unique(task.questions_test)),
        "n_families_test": len(np.unique(task.families_test)),
        "encoder": task.encoder,
    }
    (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n")
    print(json.dumps(facts), flush=True)


def option_rows(name: str, data: Path, folder: Path, *, store: Path | None = None) -> Task:
    """Write the raw rows of a grouped task and return it: train against val, encoded as the studies do.

    Of an official split only image questions are taken. Where val shares families with train, as there, the
    encoder remembers a row's family and folds keep only questions together: both are then as in val.
    """
    from llava_core.data.load import load_dataset
    from llava_core.features.store import FeatureStore
    from studies.catalog.ground import LLAVA_BLOCKS
    from studies.catalog.protocol import choose_protocol
    from studies.design import DesignEncoder, option_table
    from studies.design.encoder import available_blocks

    protocol = choose_protocol(load_dataset(data), seed=0)
    parts = [
        [example for example in part if protocol.name == "bundled" or example.has_image]
        for part in (protocol.train, protocol.val)
    ]
    opened = None if store is None else FeatureStore.open(store)
    train, test = (option_table(part, store=opened) for part in parts)
    shared = bool(set(train.families) & set(test.families))
    blocks = [
        block for block in available_blocks(train.frame) if opened is not None or block not in LLAVA_BLOCKS
    ]
    told = {"blocks": blocks, "memory_keep": "question" if shared else "family", "seed": 0}
    encoder = DesignEncoder(**told)
    folder.mkdir(parents=True, exist_ok=True)
    train.frame.to_parquet(folder / RAW)
    X_train = encoder.fit_transform(train.frame, train.y, groups=train.groups)
    return Task(
        name=name,
        grouped=True,
        X_train=X_train.astype(np.float32),
        y_train=train.y.astype(np.int64),
        questions_train=train.questions,
        groups_train=train.questions if shared else train.groups,
        X_test=encoder.transform(test.frame).astype(np.float32),
        y_test=test.y.astype(np.int64),
        questions_test=test.questions,
        families_test=test.groups,
        raw_train=folder / RAW,
        encoder=told,
    )


def plain_rows(name: str, *, seed: int) -> Task:
    """Return an ungrouped task: one half of scikit-learn's data set against the other."""
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    train, test = train_test_split(np.arange(len(y)), test_size=0.5, stratify=y, random_state=seed)
    return Task(
        name=name,
        grouped=False,
        X_train=X[train].astype(np.float32),
        y_train=y[train].astype(np.int64),
        questions_train=train.astype(np.int64),
        groups_train=train.astype(np.int64),
        X_test=X[test].astype(np.float32),
        y_test=y[test].astype(np.int64),
        questions_test=test.astype(np.int64),
        families_test=test.astype(np.int64),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all tasks, the grouped ones whose data is given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--mini", type=Path, help="folder that `studies data mini` wrote")
    parser.add_argument("--store", type=Path, help="feature store of the bundled data")
    parser.add_argument("--scienceqa", type=Path, help="real ScienceQA in its official layout")
    given = parser.parse_args(arguments)
    sources: Mapping[str, tuple[Path | None, Path | None]] = {
        "bundled": (given.mini, given.store),
        "scienceqa": (given.scienceqa, None),
    }
    for name, (data, store) in sources.items():
        if data is not None:
            folder = task_folder(given.out, name, 0)
            write_task(option_rows(name, data, folder, store=store), folder)
    for name in UNGROUPED:
        for seed in SEEDS:
            write_task(plain_rows(name, seed=seed), task_folder(given.out, name, seed))


_ARRAYS = (
    "X_train", "y_train", "questions_train", "groups_train",
    "X_test", "y_test", "questions_test", "families_test",
)  # fmt: skip

if __name__ == "__main__":
    main()
