"""Tuning in rounds against one trial at a time, on the folds of a study; nothing of test is read.

    python benchmarks/tuning_rounds.py SCIENCEQA [n_seeds] [n_trials]
    python benchmarks/tuning_rounds.py MINI --store runs/seed0/features [n_seeds] [n_trials]

Each member is tuned with both, for the same seeds and on the same matrices. Printed per member: the median
over seeds of the least log-loss per question, the median paired difference (above 0: rounds are worse), in
how many seeds rounds are worse, and the ratio of CPU-seconds.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ensembles import search
from ensembles.oof import EncodedFold
from ensembles.tuning import tune
from llava_core.data.load import load_dataset
from llava_core.features.store import FeatureStore
from studies.catalog.folds import encode_ground_folds
from studies.catalog.ground import Ground, blocks_without_llava, lay_ground
from studies.catalog.protocol import choose_protocol
from studies.rundir import RunDir
from studies.spec.ensemble import EnsembleSpec

MEMBERS = ("random_forest", "xgboost", "lightgbm", "forest_of_xgboost")
ROUNDS = (1, 4)


def main(data: Path, store: Path | None = None, n_seeds: int = 5, n_trials: int = 12) -> None:
    """Tune and print, a line as soon as a member is done."""
    with tempfile.TemporaryDirectory() as folder:
        ground = lay_ground(
            EnsembleSpec(study="ensemble_vs_llm", data=data),
            RunDir(path=Path(folder)),
            choose_protocol(load_dataset(data), seed=0),
            fingerprint="",
            store=None if store is None else FeatureStore.open(store),
        )
        folds = encode_ground_folds(ground, ground.folds).of(blocks_without_llava(ground))
        print(f"{n_seeds} seeds, {n_trials} trials, {len(folds)} fold(s), {len(ground.fitted.y)} rows\n")
        print("| member | one at a time | rounds of 4 | difference | worse in | CPU-seconds, ratio |")
        print("|---|---|---|---|---|---|")
        for member in MEMBERS:
            found = np.array(
                [
                    [_tune(ground, folds, member, seed=seed, n_trials=n_trials, size=size) for size in ROUNDS]
                    for seed in range(n_seeds)
                ]
            )
            loss, cpu = found[..., 0], found[..., 1]
            gap = loss[:, 1] - loss[:, 0]
            one, four = np.median(loss, axis=0)
            print(
                f"| {member} | {one:.4f} | {four:.4f} | {np.median(gap):+.4f} "
                f"| {(gap > 0).sum()} of {n_seeds} | {np.median(cpu[:, 1] / cpu[:, 0]):.2f} |",
                flush=True,
            )


def _tune(
    ground: Ground, folds: Sequence[EncodedFold], member: str, *, seed: int, n_trials: int, size: int
) -> tuple[float, float]:
    """Return the least log-loss and the CPU-seconds."""
    search.ROUND = size
    rows, begun = ground.fitted, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        tuned = tune(
            member, rows.frame, rows.y, questions=rows.questions, groups=rows.groups, folds=folds,
            n_trials=n_trials, seed=seed, storage=Path(folder) / "journal",
        )  # fmt: skip
    return tuned.inner_log_loss, time.process_time() - begun


if __name__ == "__main__":
    rest = sys.argv[2:]
    given = Path(rest[1]) if rest[:1] == ["--store"] else None
    main(Path(sys.argv[1]), given, *(int(number) for number in (rest[2:] if given else rest)))
