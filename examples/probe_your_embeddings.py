"""Probe embeddings of your own, and see what keeps a probe honest.

A probe is a small model that is asked whether a concept stands in vectors that were made for something else.
Whether a good score means that the vectors know the concept, or that the probe knows the families (pictures
of one place, sentences of one author), takes three more numbers, all printed here:

* the same score where families stand on both sides of the split, and where they do not;
* a control: labels drawn at random per family. Only memory of the families can do well on them, and what
  the probe does better on the true labels is its selectivity;
* the score after LEACE has erased the concept: no linear probe finds it again in the vectors that the eraser
  learned from, and hardly one in new ones.

    python examples/probe_your_embeddings.py                                # vectors drawn here
    python examples/probe_your_embeddings.py --embeddings vectors.npy --labels labels.csv
    python examples/probe_your_embeddings.py --embeddings vectors.npy --labels labels.csv --group author

The file of labels has a row per vector and a column ``label``; with ``--group``, one that names the family.
Without files, two sets of vectors are drawn: in one the concept has a direction, in the other there are
nothing but families, of which each has one label: whatever a probe finds there is memory. 8 seconds of CPU.
``studies probe`` asks much more of the same files.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rich.console import Console

from ensembles.splits import Fold, family_folds
from studies.probing import ClassTask, Stage, control_task, fit_leace, read_out
from studies.progress import Progress, shown
from studies.stats import Estimate, accuracy_estimate, mean_estimate

PROBES = ("linear", "neighbours", "forest")
TEST_FOLD, N_FOLDS = 0, 4
N_FAMILIES, WIDTH = 250, 16
"""Of the vectors that are drawn."""


def main() -> None:
    """Read or draw vectors with labels, and probe them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embeddings", type=Path, help=".npy file, a row per vector")
    parser.add_argument("--labels", type=Path, help="CSV file, a row per vector")
    parser.add_argument("--label", default="label", help="column of the concept")
    parser.add_argument("--group", help="column of the family; without it every row is its own")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the numbers as CSV")
    arguments = parser.parse_args()
    if (arguments.embeddings is None) != (arguments.labels is None):
        parser.error("got one of --embeddings and --labels, which go together")

    if arguments.embeddings is None:
        sets = [draw_direction(seed=arguments.seed), draw_families_only(seed=arguments.seed)]
    else:
        vectors, rows = np.load(arguments.embeddings), pd.read_csv(arguments.labels)
        wanted = [arguments.label, *([arguments.group] if arguments.group else [])]
        missing = [name for name in wanted if name not in rows]
        if missing:
            parser.error(f"{arguments.labels} lacks {', '.join(missing)}; it has {', '.join(rows.columns)}")
        if vectors.ndim != 2 or len(vectors) != len(rows):
            parser.error(f"got vectors of shape {vectors.shape} and {len(rows)} labels, expected one each")
        groups = rows[arguments.group].to_numpy() if arguments.group else np.arange(len(rows))
        stage = Stage(name=arguments.embeddings.stem, level="example", vectors=vectors)
        sets = [(stage, ClassTask(labels=rows[arguments.label].to_numpy(dtype=str)), groups)]

    tables = []
    with shown(Console(stderr=True)) as progress:
        for stage, task, groups in sets:
            table = probe(stage, task, groups, seed=arguments.seed, progress=progress)
            print_table(stage.name, table, task, groups)
            tables.append(table.assign(embeddings=stage.name))
    if arguments.out is not None:
        pd.concat(tables).to_csv(arguments.out, index=False)


def draw_direction(*, seed: int) -> tuple[Stage, ClassTask, NDArray[np.int64]]:
    """Return vectors in which a concept of two values has a direction of its own, in families of four."""
    rng = np.random.default_rng(seed)
    family = np.repeat(np.arange(N_FAMILIES), 4)
    value = rng.integers(2, size=len(family))
    vectors = rng.normal(size=(N_FAMILIES, WIDTH))[family] + 0.7 * rng.normal(size=(len(family), WIDTH))
    vectors[:, :4] += np.where(value == 1, 0.8, -0.8)[:, None]
    stage = Stage(name="a direction", level="example", vectors=vectors)
    return stage, ClassTask(labels=value.astype(str)), family


def draw_families_only(*, seed: int) -> tuple[Stage, ClassTask, NDArray[np.int64]]:
    """Return vectors that tell families and nothing else; the members of each have the same label."""
    rng = np.random.default_rng([seed, 1])
    family = np.repeat(np.arange(N_FAMILIES), 4)
    value = rng.integers(2, size=N_FAMILIES)[family]
    vectors = rng.normal(size=(N_FAMILIES, WIDTH))[family] + 0.3 * rng.normal(size=(len(family), WIDTH))
    stage = Stage(name="families only", level="example", vectors=vectors)
    return stage, ClassTask(labels=value.astype(str)), family


def probe(
    stage: Stage, task: ClassTask, groups: NDArray[np.generic], *, seed: int, progress: Progress
) -> pd.DataFrame:
    """Return a row per probe and question: accuracy with its interval over families.

    The four questions are ``new families``, ``known families``, ``control`` (known families, labels drawn per
    family), ``erased`` (new families, vectors without the concept); ``selectivity`` is the second minus the
    third, paired item by item.
    """
    families = np.unique(groups, return_inverse=True)[1]
    apart = family_folds(families, n_folds=N_FOLDS, seed=seed)[TEST_FOLD]
    mixed = family_folds(np.arange(task.n_items), n_folds=N_FOLDS, seed=seed)[TEST_FOLD]
    control = control_task(task, families, seed=seed)
    learn = apart[0]
    eraser = fit_leace(stage.vectors[learn], task.labels[learn])  # learned on the training rows only
    erased = replace(stage, vectors=eraser.apply(stage.vectors))
    questions: Sequence[tuple[str, Stage, ClassTask, Fold]] = (
        ("new families", stage, task, apart),
        ("known families", stage, task, mixed),
        ("control", stage, control, mixed),
        ("erased", erased, task, apart),
    )
    rows = []
    for name in PROBES:
        tick, earned = progress.stage(f"probe {stage.name}: {name}"), {}
        for done, (question, vectors, labels, (train, test)) in enumerate(questions, start=1):
            found = read_out(
                name, vectors, labels, groups=families, train=train, test=test, seed=seed, n_jobs=1
            )
            earned[question] = found.credit
            rows.append(_row(name, question, accuracy_estimate(found.credit, families[test])))
            tick(done, len(questions))
        selective = mean_estimate(earned["known families"] - earned["control"], families[mixed[1]])
        rows.append(_row(name, "selectivity", selective))
    return pd.DataFrame(rows)


def _row(probe: str, question: str, estimate: Estimate) -> dict[str, object]:
    return {
        "probe": probe,
        "question": question,
        "value": estimate.value,
        "low": estimate.low,
        "high": estimate.high,
        "n": estimate.n,
    }


def print_table(name: str, table: pd.DataFrame, task: ClassTask, groups: NDArray[np.generic]) -> None:
    """Print a line per question, a column per probe."""
    commonest = np.unique(task.labels, return_counts=True)[1].max() / task.n_items
    told = f"{task.n_items} vectors of {len(np.unique(groups))} families; commonest label {commonest:.3f}"
    print(f"\n{name}: {told}")
    print(" " * 16 + "".join(f"{probe:<22}" for probe in PROBES).rstrip())
    for question, rows in table.groupby("question", sort=False):
        cells = [f"{row.value:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in rows.itertuples()]
        print(f"{question:<16}" + "".join(f"{cell:<22}" for cell in cells).rstrip())


if __name__ == "__main__":
    main()
