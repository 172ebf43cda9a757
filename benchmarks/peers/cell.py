"""One cell of the comparison: one system on one task with one budget and one seed, in its own process.

    python benchmarks/peers/cell.py TASK_FOLDER SYSTEM BUDGET_S SEED N_THREADS OUT

Writes OUT.npy, the probabilities of the test rows, and after it OUT.json. What is timed is the system alone,
from its imports to its predictions. A system that fails leaves its error in place of probabilities.
"""

import json
import os
import resource
import sys
import traceback
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from tasks import Task, read_task

OURS = ("ours", "ours_encoded_once")
"""Systems of this repository's own environment."""


def main(folder: Path, system: str, budget_s: float, seed: int, n_threads: int, out: Path) -> None:
    """Run the cell and write what came of it."""
    task = read_task(folder)
    keep_to_cores(n_threads)
    begun, cpu_begun = perf_counter(), _cpu_s()
    facts: dict[str, Any] = {"status": "ok", "error": None}
    try:
        prob = find_system(system)(task, budget_s, seed, n_threads)
        check_probabilities(prob, task)
    except Exception as error:
        traceback.print_exc()
        facts = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
        prob = None
    facts |= {"wall_s": perf_counter() - begun, "cpu_s": _cpu_s() - cpu_begun}
    out.parent.mkdir(parents=True, exist_ok=True)
    if prob is not None:
        np.save(out.with_name(f"{out.name}.npy"), prob, allow_pickle=False)
    write_facts(facts, out)


def find_system(name: str) -> Any:
    """Return a system; ours and the peers are never in one environment."""
    if name in OURS:
        from ours import OURS as own

        return own[name]
    from systems import PEERS

    return PEERS[name]


def check_probabilities(prob: np.ndarray, task: Task) -> None:
    """Raise where a system did not give a probability of every label for every row."""
    expected = (len(task.X_test), task.n_classes)
    if prob.shape != expected or not np.isfinite(prob).all() or (prob < 0).any():
        raise ValueError(f"got probabilities of shape {prob.shape}, expected {expected}, finite, 0 or more")


def keep_to_cores(n_threads: int) -> None:
    """Hold this process and its children to so many cores, whatever a system takes for itself."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n_threads])


def write_facts(facts: dict[str, Any], out: Path) -> None:
    """Write the facts of a cell; their file stands for the cell's being done, so it appears at once."""
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.json.part")
    draft.write_text(json.dumps(facts, indent=1) + "\n")
    draft.replace(out.with_name(f"{out.name}.json"))


def _cpu_s() -> float:
    """Return the CPU-seconds of this process and of its children that have ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


if __name__ == "__main__":
    task_, system_, budget_, seed_, threads_, out_ = sys.argv[1:]
    main(Path(task_), system_, float(budget_), int(seed_), int(threads_), Path(out_))
