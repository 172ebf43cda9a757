"""Runs the grid: every system on every task, for every budget and seed, one cell at a time.

    python benchmarks/peers/run.py TASKS RESULTS --peers build/peers/bin/python

Small budgets come first, then seeds, so a run that is stopped has compared everything with what it has; a
cell that is done is not done again. Every cell is a process of its own with the same number of threads on the
same cores. A cell that takes five times its budget and ten minutes more is ended and counts as failed.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from cell import OURS, write_facts
from tasks import FACTS, GROUPED, SEEDS, TASKS, task_folder

BUDGETS_S = (60, 200, 600)
SYSTEMS = (
    *OURS,
    "autogluon_good_groups",
    "autogluon_good",
    "autogluon_best_groups",
    "autogluon_best",
    "flaml",
    "mljar",
    "sklearn_stacking",
)
KNOW_GROUPS = ("ours_encoded_once", "autogluon_good_groups", "autogluon_best_groups")
"""Systems that differ from another one on grouped tasks only."""
UNTIMED = ("sklearn_stacking",)
"""Systems without a budget: run once, under the smallest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One run of one system."""

    task: str
    system: str
    budget_s: int
    seed: int

    def place(self, results: Path) -> Path:
        """Return the path of its files, without their suffixes."""
        return results / self.task / self.system / f"{self.budget_s}s_seed{self.seed}"


def cells(
    tasks: Sequence[str], systems: Sequence[str], budgets_s: Sequence[int], seeds: Sequence[int]
) -> Iterator[Cell]:
    """Yield the cells in the order in which they are run."""
    for budget_s in sorted(budgets_s):
        for seed in seeds:
            for task in tasks:
                for system in systems:
                    if system in KNOW_GROUPS and task not in GROUPED:
                        continue
                    if system in UNTIMED and budget_s != min(budgets_s):
                        continue
                    yield Cell(task=task, system=system, budget_s=budget_s, seed=seed)


def run_cell(cell: Cell, tasks: Path, results: Path, *, python: Path, n_threads: int) -> dict[str, Any]:
    """Run one cell; return what became of it."""
    out = cell.place(results)
    out.parent.mkdir(parents=True, exist_ok=True)
    threads = {f"{library}_NUM_THREADS": str(n_threads) for library in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
    # Threads that spin while they wait starve each other on busy cores; the same for everyone.
    environment = {**os.environ, **threads, "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "3000"}
    command = [
        str(python), str(Path(__file__).with_name("cell.py")), str(task_folder(tasks, cell.task, cell.seed)),
        cell.system, str(cell.budget_s), str(cell.seed), str(n_threads), str(out),
    ]  # fmt: skip
    begun = perf_counter()
    with out.with_name(f"{out.name}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
        try:
            code = process.wait(timeout=5 * cell.budget_s + 600)
            error = f"ended with code {code}"
        except subprocess.TimeoutExpired:
            error = f"still running after {5 * cell.budget_s + 600} s"
        finally:
            end_session(process)
    if not out.with_name(f"{out.name}.json").exists():
        write_facts(
            {"status": "failed", "error": error, "wall_s": perf_counter() - begun, "cpu_s": None}, out
        )
    facts: dict[str, Any] = json.loads(out.with_name(f"{out.name}.json").read_text())
    return facts


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End what a cell left running: some systems start servers."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what is not done yet, and print a line per cell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("tasks", type=Path, help="folder that tasks.py wrote")
    parser.add_argument("results", type=Path)
    parser.add_argument("--peers", type=Path, required=True, help="Python of the peers' environment")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--task", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--system", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    parser.add_argument("--budget", nargs="+", type=int, default=BUDGETS_S, metavar="S")
    parser.add_argument("--seed", nargs="+", type=int, choices=SEEDS, default=SEEDS)
    given = parser.parse_args(arguments)
    # A stop by signal ends the running cell too, as one by keyboard does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    there = [task for task in given.task if (task_folder(given.tasks, task, given.seed[0]) / FACTS).exists()]
    grid = list(cells(there, given.system, given.budget, given.seed))
    print(f"{len(grid)} cells of {', '.join(there)}", flush=True)
    for number, cell in enumerate(grid, 1):
        if cell.place(given.results).with_suffix(".json").exists():
            continue
        python = Path(sys.executable) if cell.system in OURS else given.peers
        facts = run_cell(cell, given.tasks, given.results, python=python, n_threads=given.threads)
        told = f"{facts['status']} in {facts['wall_s']:.1f} s"
        print(
            f"{number} of {len(grid)}: {cell.task} {cell.system} {cell.budget_s} s, seed {cell.seed}: {told}",
            flush=True,
        )


if __name__ == "__main__":
    main()
