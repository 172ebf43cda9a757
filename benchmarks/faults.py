"""Faults in the middle of small jobs of every stage, and whether the end is that of an undisturbed run.

    python benchmarks/faults.py --kills 100 [--seed 0] [--job align] [--fault SIGKILL] [--out FILE]

A case disturbs one job (`tests.faults.jobs`), lets the same command go on to its end, and counts: results
that are not those of an undisturbed run, finished units of work that were done again, files that were not
whole or lacking, and scratch files and processes that were left. Faults are: one to three times SIGKILL, the
first kills of a job's cases spread evenly over its run; a disk that is full at several shares of what the job
needs; the same command started twice, together and one later; a worker process killed.
"""

import argparse
import json
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.faults.jobs import Job, Material
    from tests.faults.killing import Outcome

ROOT = Path(__file__).resolve().parents[1]
SHARES: Mapping[str, int] = {
    "generate": 10, "filter": 10, "align": 14, "finetune": 14, "extract": 12, "answer": 6,
    "ensemble_vs_llm": 24, "embedding_probe": 10,
    "data_mini": 12, "pretrain_mini": 12, "convert": 12, "stage_ablation": 12,
}  # fmt: skip
"""Kills of each job where 100 are asked for: 100 over the first eight, and these of the later ones besides.
The study with tuning, stacking and report has most."""
N_FILLS = 4
"""Sizes of disk on which each job is run."""
LATER_S = (0.0, 5.0)
"""Seconds between the starts of two processes: together, and when the first is past its imports."""
WORKERS: Mapping[str, tuple[str, ...]] = {"filter": (), "embedding_probe": ("--set", "jobs=2")}
"""Jobs that start processes to work for them, with what makes them do so."""
FAULTS = ("SIGKILL", "disk full", "two processes", "lost worker")
COLUMNS = ("faults", "cases", "results_equal", "units_redone", "artefacts_lost", "left_behind", "failed")


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", choices=SHARES)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    found = measure(given.kills, given.seed, given.job, given.fault)
    told = ", ".join(f"{found[name]} {name.replace('_', ' ')}" for name in COLUMNS)
    print(f"{told}, in {found['seconds'] / 60:.0f} min")
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
    if found["defects"]:
        raise SystemExit(1)


def measure(n_kills: int, seed: int, only: str | None, only_fault: str | None) -> dict[str, Any]:
    """Put all jobs, or one, under all faults, or one, and return the table."""
    from tests.faults.jobs import JOBS, material

    begun, rows, defects = time.perf_counter(), [], []
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    with material(folder / "made") as made:
        for name, share in SHARES.items():
            if only not in (None, name):
                continue
            wanted = ceil(n_kills * share / 100) if only is None else n_kills
            job = JOBS[name]
            cases: dict[str, Iterator[Outcome]] = {
                "SIGKILL": kill_again_and_again(job, made, folder, n_kills=wanted, seed=seed),
                "disk full": fill_again_and_again(job, made, folder, seed=seed),
                "two processes": start_twice(job, made, folder),
                "lost worker": lose_workers(job, made, folder),
            }
            for fault in FAULTS if only_fault is None else (only_fault,):
                outcomes = list(cases[fault])
                if not outcomes:
                    continue
                rows.append({"fault": fault, "job": name, **count(outcomes)})
                found = [f"{fault}, {name}: {defect}" for each in outcomes for defect in each.defects]
                told = [f"{fault:14}{name:16}", *(f"{rows[-1][column]} {column}" for column in COLUMNS)]
                print(" ".join(told), *found, sep="\n", flush=True)
                defects += found
    shutil.rmtree(folder)
    return {
        **{column: sum(row[column] for row in rows) for column in COLUMNS},
        "seed": seed,
        "seconds": time.perf_counter() - begun,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "rows": rows,
        "defects": defects,
    }


def kill_again_and_again(
    job: "Job", made: "Material", folder: Path, *, n_kills: int, seed: int
) -> "Iterator[Outcome]":
    """Yield cases of a job until so many kills have met it at work."""
    from tests.faults.killing import disturb, draw_kills

    n_met, number, n_cases = 0, 0, ceil(n_kills / 2)
    while n_met < n_kills:
        n_here = min(1 + number % 3, n_kills - n_met)
        kills = draw_kills(job, made, seed=seed, number=number, n_cases=n_cases, n_kills=n_here)
        case = folder / f"{job.name}-{number}"
        outcome = disturb(job, made, case, kills)
        n_met, number = n_met + len(outcome.faults), number + 1
        for defect in outcome.defects:
            print(
                f"    {case.name}: {'; '.join(fault.told for fault in outcome.faults)}: {defect}", flush=True
            )
        shutil.rmtree(case)
        yield outcome


def fill_again_and_again(job: "Job", made: "Material", folder: Path, *, seed: int) -> "Iterator[Outcome]":
    """Yield cases of a job on disks of different sizes, one drawn from each part of what it needs."""
    from tests.faults.disks import fill

    rng = random.Random(f"{job.name}:{seed}")
    for number in range(N_FILLS):
        yield fill(job, made, folder / f"full-{job.name}-{number}", share=(number + rng.random()) / N_FILLS)


def start_twice(job: "Job", made: "Material", folder: Path) -> "Iterator[Outcome]":
    """Yield cases of a job that is started twice."""
    from tests.faults.beside import two_at_once

    for number, after_s in enumerate(LATER_S):
        yield two_at_once(job, made, folder / f"two-{job.name}-{number}", after_s=after_s)


def lose_workers(job: "Job", made: "Material", folder: Path) -> "Iterator[Outcome]":
    """Yield the case of a job that loses a worker, if it has any."""
    from tests.faults.beside import lose_a_worker

    if job.name in WORKERS:
        yield lose_a_worker(job, made, folder / f"lost-{job.name}", *WORKERS[job.name])


def count(outcomes: "list[Outcome]") -> dict[str, Any]:
    """Return a row of the table."""
    return {
        "faults": sum(len(outcome.faults) for outcome in outcomes),
        "cases": len(outcomes),
        "results_equal": sum(not (outcome.different or outcome.failed) for outcome in outcomes),
        "units_redone": sum(len(outcome.redone) for outcome in outcomes),
        "artefacts_lost": sum(len(outcome.torn) for outcome in outcomes),
        "left_behind": sum(len(outcome.left) for outcome in outcomes),
        "failed": sum(bool(outcome.failed) for outcome in outcomes),
        "stages": dict(Counter(fault.stage for outcome in outcomes for fault in outcome.faults)),
    }


if __name__ == "__main__":
    main()
