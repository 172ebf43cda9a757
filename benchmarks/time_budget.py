"""Whether a time budget of tuning is kept: wall seconds taken over seconds allowed, per member and budget.

    python benchmarks/time_budget.py SCIENCEQA [budget_s ...]

On the folds of real ScienceQA's training part (families apart), with far more trials than any budget allows;
nothing of test is read. Printed: trials begun, seconds, ratio. The defaults are judged whatever the budget,
so a budget below their time cannot be kept.
"""

import sys
import tempfile
import time
from pathlib import Path

from ensembles.splits import family_folds
from ensembles.tuning import tune
from llava_core.data.load import load_dataset
from studies.catalog.folds import encode_ground_folds
from studies.catalog.ground import blocks_without_llava, lay_ground
from studies.catalog.protocol import choose_protocol
from studies.rundir import RunDir
from studies.spec.ensemble import EnsembleSpec

MEMBERS = ("random_forest", "xgboost", "lightgbm", "forest_of_xgboost", "neighbours")
TOO_MANY = 10_000


def main(data: Path, budgets_s: tuple[float, ...] = (20.0, 60.0)) -> None:
    """Measure and print, a line as soon as a search is done."""
    with tempfile.TemporaryDirectory() as folder:
        spec = EnsembleSpec(study="ensemble_vs_llm", data=data)
        protocol = choose_protocol(load_dataset(data), seed=0)
        ground = lay_ground(spec, RunDir(path=Path(folder)), protocol, fingerprint="")
        rows = ground.fitted
        apart = family_folds(rows.groups, n_folds=spec.folds, seed=0)
        folds = encode_ground_folds(ground, apart).of(blocks_without_llava(ground))
        print("| member | budget, s | trials | taken, s | ratio |\n|---|---|---|---|---|")
        for member in MEMBERS:
            for budget in budgets_s:
                begun = time.perf_counter()
                tuned = tune(
                    member, rows.frame, rows.y, questions=rows.questions, groups=rows.groups, folds=folds,
                    n_trials=TOO_MANY, seed=0, storage=Path(folder) / f"{member}{budget}", timeout_s=budget,
                )  # fmt: skip
                taken = time.perf_counter() - begun
                print(
                    f"| {member} | {budget:.0f} | {tuned.n_trials} | {taken:.1f} | {taken / budget:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    given = tuple(float(budget) for budget in sys.argv[2:])
    main(Path(sys.argv[1]), given) if given else main(Path(sys.argv[1]))
