"""Where level 1 of a stack learns on an official split that shares families: on train, or on val.

    python benchmarks/level_one.py SCIENCEQA [n_seeds]

Members with default parameters are fitted on train; nothing of test is read. On val is judged what level 1
learned from (a) out-of-fold predictions of train, in folds that keep families apart, and (b) val itself, in
folds of val that keep families apart. Printed: log-loss per question and accuracy of both, of each
member, and the ratio of the two losses.
"""

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.level_one import LevelOne
from ensembles.oof import out_of_fold
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from llava_core.data.load import load_dataset
from studies.catalog.folds import encode_ground_folds
from studies.catalog.ground import lay_ground
from studies.catalog.protocol import Protocol, choose_protocol
from studies.catalog.stacks import LEVEL0
from studies.rundir import RunDir
from studies.spec.ensemble import EnsembleSpec


def main(data: Path, n_seeds: int = 3) -> None:
    """Measure and print, a table per seed."""
    protocol = choose_protocol(load_dataset(data), seed=0)
    for seed in range(n_seeds):
        print(f"seed {seed}\n\n| level 1, or member | log-loss on val | accuracy on val, % |\n|---|---|---|")
        losses = _measure(data, protocol, seed=seed)
        for name, (loss, accuracy) in losses.items():
            print(f"| {name} | {loss:.4f} | {accuracy:.1f} |")
        print(f"\nratio, val over train: {losses['learned on val'][0] / losses['learned on train'][0]:.3f}\n")


def _measure(data: Path, protocol: Protocol, *, seed: int) -> Mapping[str, tuple[float, float]]:
    with tempfile.TemporaryDirectory() as folder:
        spec = EnsembleSpec(study="ensemble_vs_llm", data=data, seed=seed)
        ground = lay_ground(spec, RunDir(path=Path(folder)), protocol, fingerprint="")
    rows, (train, val) = ground.fitted, ground.folds[0]
    y, questions, groups = rows.y, rows.questions, rows.groups
    apart = [
        (train[learn], train[judge]) for learn, judge in family_folds(groups[train], n_folds=4, seed=seed)
    ]
    columns: dict[str, pd.DataFrame] = {}
    for name, folds in (("train", apart), ("val", [(train, val)])):
        encoded = encode_ground_folds(ground, folds).of(ground.blocks)
        probs = {}
        for member in LEVEL0:
            estimator = MEMBERS[member].make(MEMBERS[member].defaults, seed=seed, n_jobs=1)
            found = out_of_fold(estimator, y, questions=questions, groups=groups, folds=encoded).prob
            probs[member] = found[train if name == "train" else val]
        columns[name] = pd.DataFrame(probs)
    level1 = LevelOne(probs=LEVEL0, seed=seed)
    learned = level1.fit(columns["train"], y[train], questions=questions[train], groups=groups[train])
    on_train = learned.predict_proba(columns["val"], questions=questions[val])[:, 1]
    on_val = np.zeros(len(val))
    for learn, judge in family_folds(groups[val], n_folds=4, seed=seed):
        part = level1.fit(
            columns["val"].iloc[learn],
            y[val][learn],
            questions=questions[val][learn],
            groups=groups[val][learn],
        )
        on_val[judge] = part.predict_proba(columns["val"].iloc[judge], questions=questions[val][judge])[:, 1]

    def told(prob: NDArray[np.float64]) -> tuple[float, float]:
        loss = question_log_loss(prob, questions[val], y[val]).mean()
        return float(loss), float(100 * credit(prob, questions[val], y[val]).mean())

    members = {name: told(question_probabilities(columns["val"][name], questions[val])) for name in LEVEL0}
    return {"learned on train": told(on_train), "learned on val": told(on_val), **members}


if __name__ == "__main__":
    main(Path(sys.argv[1]), *(int(number) for number in sys.argv[2:]))
