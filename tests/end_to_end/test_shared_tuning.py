"""A run whose tuning is shared with worker processes, and one whose fits run on a Dask cluster."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from studies.predictions import read_predictions

Studies = Callable[..., subprocess.CompletedProcess[str]]
SMALL = ("--preset", "quick", "--trials", "6")


def command(*arguments: object) -> "subprocess.Popen[str]":
    script = "from studies.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def test_workers_join_a_run_and_leave_when_it_has_tuned(
    studies: Studies, questions: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    run = command(
        "run", "ensemble_vs_llm", *SMALL, "--data", questions, "--set", "storage=journal", "--out", out
    )
    end = time.monotonic() + 60
    while not (out / "spec.json").exists():
        assert time.monotonic() < end
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    workers = [command("tune-worker", out) for _ in range(2)]
    told = [worker.communicate(timeout=240) for worker in workers]
    _, stderr = run.communicate(timeout=240)
    assert run.returncode == 0, stderr
    assert [worker.returncode for worker in workers] == [0, 0], told
    assert all(stdout.startswith("trials: ") for stdout, _ in told)
    summary = json.loads((out / "summary.json").read_text())
    assert summary["provenance"]["reproducible"] is False
    assert {row["n_trials"] for row in summary["tuning"]} == {6}
    assert not any(row["n_lost"] for row in summary["tuning"])
    # The matrices have served, and a worker that comes late has nothing to do.
    assert [file.name for file in (out / "tuning").iterdir()] == ["done"]
    late = studies("tune-worker", out)
    assert (late.returncode, late.stdout) == (0, "trials: 0\n"), late.stderr


def test_a_worker_is_told_what_it_cannot_join(
    studies: Studies, finished: tuple[Path, str, str], tmp_path: Path
) -> None:
    for folder, told in ((tmp_path / "none", "holds no run"), (finished[0], "shares no tuning; allowed is")):
        ended = studies("tune-worker", folder)
        assert ended.returncode == 2
        assert told in ended.stderr


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("storage=database", "field storage: got 'database', allowed are journal and a URL"),
        ("storage=postgresql://me:secret@host/db", "field storage: got a URL with a password"),
        ("storage=postgresql://127.0.0.1:1/db", "which cannot be opened"),
        ("storage=nosuch://host/db", "which cannot be opened"),
        ("storage=mysql://host/db", "field storage: the driver MySQLdb is not installed"),
        ("device=cuda", "field device: got cuda, and this build of XGBoost has none"),
        ("device=tpu", "field device: got 'tpu', allowed are cpu, cuda"),
        ("dask=tcp://127.0.0.1:1", "where no scheduler answers"),
    ],
)
def test_backends_that_are_not_there_end_with_one_line(
    studies: Studies,
    questions: Path,
    tmp_path: Path,
    setting: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "run"
    ended = studies(
        "run", "ensemble_vs_llm", "--preset", "quick", "--data", questions, "--set", setting, "--out", out
    )
    assert ended.returncode == 2, ended.stderr
    assert told in ended.stderr
    assert "secret" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_fits_on_a_dask_cluster_give_the_same_run(
    studies: Studies, questions: Path, tmp_path: Path, finished: tuple[Path, str, str]
) -> None:
    from distributed import LocalCluster

    out = tmp_path / "run"
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        ended = studies(
            "run", "ensemble_vs_llm", "--preset", "quick", "--data", questions,
            "--set", f"dask={cluster.scheduler_address}", "--out", out,
        )  # fmt: skip
        n_transitions = cluster.scheduler.transition_counter
    assert ended.returncode == 0, ended.stderr
    assert n_transitions > 100
    pd.testing.assert_frame_equal(
        read_predictions(out / "predictions.parquet"),
        read_predictions(finished[0] / "predictions.parquet"),
    )
