import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pandas as pd
import psutil

from ensembles.search import open_storage

RunExample = Callable[..., subprocess.CompletedProcess[str]]
SCRIPT = "tune_with_four_workers.py"
N_TRIALS = 5


def running_in(folder: Path) -> list[int]:
    """Return the processes that were given a path in a folder."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in argument for argument in process.info["cmdline"] or ())
    ]


def test_every_trial_is_run_once_by_who_is_named(run_example: RunExample, tmp_path: Path) -> None:
    out = tmp_path / "tuned"
    printed = run_example(SCRIPT, "--trials", N_TRIALS, "--out", out).stdout
    assert running_in(tmp_path) == []

    journals = sorted((out / "shared" / "optuna").glob("*.journal"))
    assert len(journals) == 7
    processes = set()
    for journal in journals:
        trials = optuna.load_study(study_name=journal.stem, storage=open_storage(journal)).trials
        assert all(trial.state.is_finished() for trial in trials)
        processes |= {trial.user_attrs["worker"] for trial in trials}
        (told,) = re.findall(rf"^{journal.stem} +(.*: .*)$", printed, re.MULTILINE)
        numbers = [int(number) for number in re.findall(r"(?<!_)\b\d+\b", told)]
        assert sorted(numbers) == [trial.number for trial in trials] == list(range(N_TRIALS))
    # Who comes first is chance, but the tuning takes much longer than a worker's start.
    assert len(processes) > 1

    assert f"{7 * N_TRIALS} trials shared, 0 lost" in printed
    tuning = json.loads((out / "shared" / "summary.json").read_text())["tuning"]
    assert all(row["inner_log_loss"] <= row["default_inner_log_loss"] for row in tuning)
    assert [run["name"] for run in json.loads((out / "compared.json").read_text())["runs"]] == [
        "shared",
        "alone",
    ]


def test_a_run_that_fails_takes_the_workers_with_it(run_example: RunExample, tmp_path: Path) -> None:
    """The same question in every family: the audit ends the run when the workers have come."""
    rows = [
        {
            "id": f"q{k}",
            "question": "Which?",
            "group": f"g{k}",
            "option": option,
            "correct": option == 1,
            "x": k,
        }
        for k in range(60)
        for option in range(2)
    ]
    data = tmp_path / "same.parquet"
    pd.DataFrame(rows).to_parquet(data)
    ended = run_example(SCRIPT, "--data", data, "--out", tmp_path / "tuned", returncode=1)
    assert "the leakage audit failed" in ended.stderr
    assert "a command ended with exit code 2" in ended.stderr
    assert running_in(tmp_path) == []
