"""`studies verify`, reproducible runs, and changed files that every reader of a run refuses."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from studies.cli import app
from studies.predictions import read_predictions, write_predictions
from studies.rundir import RunDir

Finished = tuple[Path, str, str]


def command(*arguments: object) -> Result:
    """Run a command in this process, on a terminal of 80 columns."""
    return CliRunner().invoke(app, [*map(str, arguments)], env={"COLUMNS": "80"})


def flip(file: Path, place: int = -1) -> None:
    whole = bytearray(file.read_bytes())
    whole[place] ^= 1
    file.write_bytes(whole)


@pytest.fixture(scope="module")
def again(questions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of `finished` in another folder, with other workers, threads and hash seed."""
    out = tmp_path_factory.mktemp("again") / "run"
    script = "from studies.cli import main; main()"
    done = subprocess.run(
        [
            sys.executable, "-c", script, "run", "ensemble_vs_llm", "--preset", "quick",
            "--data", str(questions), "--set", "jobs=1", "--out", str(out),
        ],
        capture_output=True, text=True, check=False,
        env={**os.environ, "COLUMNS": "80", "OMP_NUM_THREADS": "2", "PYTHONHASHSEED": "4711"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture
def run(finished: Finished, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished[0], tmp_path / "run"))


def test_the_same_command_gives_the_same_results_whatever_the_workers(
    finished: Finished, again: Path
) -> None:
    first = finished[0]
    assert (first / "predictions.parquet").read_bytes() == (again / "predictions.parquet").read_bytes()
    assert (first / "questions.parquet").read_bytes() == (again / "questions.parquet").read_bytes()
    told = command("verify", first, again)
    assert told.exit_code == 0, told.stdout
    assert "the same predictions (27 methods)" in " ".join(told.stdout.split())
    for path in (first, again):
        assert json.loads((path / "summary.json").read_text())["provenance"]["reproducible"] is True


def test_one_bit_of_one_probability_and_a_field_of_the_summary_are_found(again: Path, run: Path) -> None:
    frame = read_predictions(run / "predictions.parquet")
    place = int(np.flatnonzero(frame["method"] == "xgboost")[2])
    frame.loc[place, "prob"] = np.nextafter(frame.loc[place, "prob"], 1.0)
    write_predictions(frame, run / "predictions.parquet")
    summary = json.loads((run / "summary.json").read_text())
    summary["methods"][0]["accuracy"]["value"] = 0.125
    (run / "summary.json").write_text(json.dumps(summary))
    RunDir(path=run).finish({"study": "ensemble_vs_llm", "data": summary["data"]["fingerprint"]})
    told = command("verify", again, run)
    assert told.exit_code == 1
    text = " ".join(told.stdout.split())
    question = frame.loc[place, "example_id"]
    assert f"predictions.parquet, method xgboost, question {question}, option" in text
    assert "field prob" in text
    assert f"summary.json, methods[{summary['methods'][0]['name']}].accuracy.value:" in text
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_a_run_is_whole_until_something_changes(run: Path) -> None:
    told = command("verify", run)
    assert told.exit_code == 0, told.stdout
    assert "all as manifest.json lists them" in " ".join(told.stdout.split())
    flip(run / "optuna" / "xgboost.journal")
    (run / "tables" / "methods.csv").unlink()
    (run / "models" / "mine").write_text("mine")
    told = command("verify", run)
    assert told.exit_code == 1
    lines = told.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-6:] == [
        "changed:", "  optuna/xgboost.journal", "missing:", "  tables/methods.csv", "added:", "  models/mine",
    ]  # fmt: skip
    assert "1 changed, 1 missing, 1 added" in " ".join(told.stdout.split())


def test_rendering_again_keeps_a_run_whole_and_hides_no_change(run: Path) -> None:
    assert command("report", run).exit_code == 0
    assert command("optuna", run).exit_code == 0
    assert command("verify", run).exit_code == 0
    flip(run / "models" / "xgboost" / "model" / "model.skops")
    flip(run / "report.md")
    assert command("report", run).exit_code == 0
    told = command("verify", run)
    assert told.exit_code == 1
    assert told.stdout.splitlines()[-2:] == ["changed:", "  models/xgboost/model/model.skops"]


def test_without_a_finished_run_there_is_nothing_to_verify(run: Path, tmp_path: Path) -> None:
    for arguments in ([tmp_path / "nowhere"], [run, tmp_path / "nowhere"]):
        told = command("verify", *arguments)
        assert told.exit_code == 2
        assert told.stderr.splitlines()[-1] == f"error: {tmp_path / 'nowhere'}: holds no run"
    (run / "manifest.json").unlink()
    told = command("verify", run)
    assert told.exit_code == 2
    assert "holds an unfinished run; finish it with --resume" in told.stderr


READERS = {
    "report": ("summary.json", "optuna/xgboost.journal", "optuna/xgboost.compared.json", "spec.json"),
    "optuna": ("summary.json", "optuna/xgboost.journal", "optuna/xgboost.compared.json", "spec.json"),
    "compare": ("summary.json", "spec.json", "predictions.parquet", "questions.parquet"),
    "predict": (
        "summary.json", "models/xgboost/method.json", "models/xgboost/model/model.skops",
        "models/xgboost/model/manifest.json", "models/encoder/model/model.skops",
    ),
    "random": ("optuna/xgboost.journal", "spec.json"),
}  # fmt: skip


@pytest.mark.parametrize(("reader", "name"), [(r, name) for r, names in READERS.items() for name in names])
def test_a_flipped_byte_is_refused_in_one_line_that_names_the_file(
    reader: str, name: str, run: Path, again: Path, questions: Path, tmp_path: Path
) -> None:
    flip(run / name)
    out = tmp_path / "out"
    arguments = {
        "report": ["report", run],
        "optuna": ["optuna", run],
        "random": ["optuna", run, "--random"],
        "compare": ["compare", run, again, "--out", out / "compare.html"],
        "predict": ["predict", run, "--data", questions, "--method", "xgboost", "--out", out / "p.parquet"],
    }[reader]
    told = command(*arguments)
    assert told.exit_code == 2, told.output
    errors = [line for line in told.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, told.stderr
    assert errors[
        0
    ] == f"error: {run / name}: its SHA-256 is not that of manifest.json: the file was changed " + (
        "after the run"
    )
    assert not out.exists()
