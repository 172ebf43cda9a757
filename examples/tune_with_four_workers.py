"""Share the tuning of one run with four worker processes, and see who did what.

A run started with ``--set storage=journal`` offers its trials in the run folder, and every ``studies
tune-worker`` that is given the folder takes some, here or on another host that sees the same disk. Members
are tuned one after another; a worker that has nothing to do waits, and ends with the tuning.

    python examples/tune_with_four_workers.py
    python examples/tune_with_four_workers.py --data questions.jsonl --trials 30 --out tuned

It prints, per member, which process ran which trial (each trial keeps it as an attribute), and whether the
result holds: no trial was lost or run twice, and the same study tuned by one process alone ends close by.
Trials see those that ended before them, so a shared study is not the same to the last digit. Whatever ends
this script, a failing run included, ends the processes that it started. 30 seconds of CPU.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import optuna
import pandas as pd

from ensembles.search import open_storage

STUDIES = (sys.executable, "-c", "from studies.cli import main; main()")
N_WORKERS = 4
PLAIN = ("--set", "curve_trees=", "--set", "curve_xgbs=", "--set", "ablation=false", "--set", "jobs=1")
"""Leaves out what is not tuning, and lets every process use one core."""


def main() -> None:
    """Run the study with four workers, then alone, and tell what each found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="questions or options; some are drawn without it")
    parser.add_argument("--trials", type=int, default=8, help="per member")
    parser.add_argument("--out", type=Path, help="new folder; without it all is removed in the end")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended then, too

    with ExitStack() as stack:
        folder = arguments.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(parents=True, exist_ok=True)
        data = arguments.data
        if data is None:
            data = folder / "options.parquet"
            draw_options(300, seed=0).to_parquet(data)
        options = [
            "--data",
            data,
            "--preset",
            "quick",
            "--limit",
            "150",
            "--trials",
            arguments.trials,
            *PLAIN,
        ]

        print("with four workers", flush=True)
        pids = run_with_workers(folder / "shared", options)
        who_did_what(folder / "shared", pids)

        print("\nalone", flush=True)
        study("run", "ensemble_vs_llm", *options, "--out", folder / "alone")
        does_it_hold(folder)


def draw_options(n_questions: int, *, seed: int) -> pd.DataFrame:
    """Return an option table: four options to a question, six numbers each."""
    rng = np.random.default_rng(seed)
    question = np.repeat(np.arange(n_questions), 4)
    X = rng.normal(size=(len(question), 6))
    felt = 1.5 * X[:, 0] * np.sign(X[:, 1]) + X[:, 2] + rng.gumbel(scale=0.5, size=len(question))
    return pd.DataFrame(
        {
            "id": [f"q{number}" for number in question],
            "question": [f"Which of the four fits case {number}?" for number in question],
            "group": [f"family{number // 2}" for number in question],
            "option": np.tile(np.arange(4), n_questions),
            "correct": (np.arange(4) == felt.reshape(-1, 4).argmax(axis=1)[:, None]).ravel(),
            "numbers": list(X),
        }
    )


def run_with_workers(out: Path, options: list[object]) -> dict[int, str]:
    """Run the study while four workers share its tuning; return the name of each process by its id."""
    with ExitStack() as stack:
        shared = ("run", "ensemble_vs_llm", *options, "--set", "storage=journal", "--out", out)
        run = stack.enter_context(started(*shared))
        while not (out / "spec.json").exists():  # a worker asks the folder how the study is shared
            end_with(run)
            time.sleep(0.1)
        logs = [out.with_name(f"worker_{number}.log") for number in range(1, N_WORKERS + 1)]
        workers = [stack.enter_context(started("tune-worker", out, log=log)) for log in logs]
        run.wait()
        end_with(run)
        for worker, log in zip(workers, logs, strict=True):
            worker.wait()
            end_with(worker, log)
    return {run.pid: "the run"} | {worker.pid: log.stem for worker, log in zip(workers, logs, strict=True)}


@contextmanager
def started(*arguments: object, log: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a `studies` command; when the context is left, by whatever way, it does not run any more."""
    with ExitStack() as stack:
        told = None if log is None else stack.enter_context(log.open("wb"))
        process = subprocess.Popen([*STUDIES, *map(str, arguments)], stdout=told, stderr=told)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def end_with(process: "subprocess.Popen[bytes]", log: Path | None = None) -> None:
    """End this script if a process that it started has failed."""
    if process.poll():
        told = "" if log is None else f": {log.read_text().strip()}"
        sys.exit(f"a command ended with exit code {process.returncode}{told}")


def who_did_what(run: Path, names: dict[int, str]) -> None:
    """Print which process ran which trials, from the journals that the run keeps."""
    print(f"\n{'member':<20}trials by process")
    for journal in sorted((run / "optuna").glob("*.journal")):
        trials = optuna.load_study(study_name=journal.stem, storage=open_storage(journal)).trials
        by: dict[str, list[str]] = {name: [] for name in names.values()}
        for trial in trials:
            pid = int(trial.user_attrs["worker"].rpartition(":")[2])
            by[names[pid]].append(str(trial.number))
        told = "; ".join(f"{name}: {', '.join(numbers)}" for name, numbers in by.items() if numbers)
        print(f"{journal.stem:<20}{told}")


def does_it_hold(folder: Path) -> None:
    """Print the tuning of both runs side by side, then the accuracies with paired differences."""
    shared, alone = ({row["method"]: row for row in tuning(folder / name)} for name in ("shared", "alone"))
    n_lost = sum(row["n_lost"] for row in shared.values())
    print(f"\n{sum(row['n_trials'] for row in shared.values())} trials shared, {n_lost} lost; best log-loss")
    print(f"{'member':<20}{'defaults':>10}{'shared':>10}{'alone':>10}{'one standard error':>21}")
    for member, row in shared.items():
        found = (row["default_inner_log_loss"], row["inner_log_loss"], alone[member]["inner_log_loss"])
        print(
            f"{member:<20}" + "".join(f"{value:>10.3f}" for value in found), f"{row['standard_error']:>20.3f}"
        )
    print()
    study("compare", folder / "shared", folder / "alone", "--out", folder / "compared.html")


def tuning(run: Path) -> list[dict[str, float | str]]:
    """Return what a finished run says of its tuning, a row per member."""
    rows: list[dict[str, float | str]] = json.loads((run / "summary.json").read_text())["tuning"]
    return rows


def study(*arguments: object) -> None:
    """Run a `studies` command to its end."""
    with started(*arguments) as process:
        process.wait()
        end_with(process)


if __name__ == "__main__":
    main()
