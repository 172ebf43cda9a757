"""Two processes at one place: both share it, or the second is refused in one line and harms nothing."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from llava_core.claims import claimed
from llava_core.cli import app as llava
from llava_core.errors import InputError
from studies.cli import app as studies
from studies.rundir import held
from tests.faults.beside import HELD, two_at_once
from tests.faults.jobs import JOBS, Material
from tests.faults.results import files_of

TESTED = ("align", "extract")
"""One that holds its place and one that shares it; the others are left to the benchmark."""


@pytest.mark.parametrize("name", TESTED)
def test_two_processes_started_together_end_as_one(name: str, made: Material, tmp_path: Path) -> None:
    assert two_at_once(JOBS[name], made, tmp_path / "run").defects == []


@pytest.mark.parametrize("name", ["generate", "filter", "align", "answer", "convert", "records"])
def test_a_place_that_is_held_is_refused(
    name: str, made: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    commands = {
        "answer": ["answer", "--checkpoint", "none", "--question", "What?", "--out", "out"],
        "convert": ["convert", "--source", "none", "--out", "out"],
        "records": ["records", "--data", "none", "--out", "out"],
    }
    command = commands.get(name) or JOBS[name].command(made)[2:]
    with claimed(Path("out")):
        ended = CliRunner().invoke(llava, command)
    assert isinstance(ended.exception, InputError)
    assert str(ended.exception) == f"out: {HELD}"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_another_process_writes_is_refused(made: Material, tmp_path: Path) -> None:
    run, data = made.undisturbed(JOBS["ensemble_vs_llm"]) / "out", str(made.data)
    out = tmp_path / "out.html"
    with claimed(out):
        for command in (["optuna", str(run)], ["compare", str(run)], ["predict", str(run), "--data", data]):
            ended = CliRunner().invoke(studies, [*command, "--out", str(out)])
            assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (2, f"error: {out}: {HELD}")
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_written_to_is_not_reported_on(made: Material, tmp_path: Path) -> None:
    run = shutil.copytree(made.undisturbed(JOBS["ensemble_vs_llm"]) / "out", tmp_path / "run")
    before = files_of(run, "**/*")
    resumed = ["run", "ensemble_vs_llm", "--out", str(run), "--resume"]
    with held(run):
        for command in (["report", str(run)], ["optuna", str(run)], ["optuna", str(run), "--random"]):
            ended = CliRunner().invoke(studies, command)
            assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (2, f"error: {run}: {HELD}")
        assert CliRunner().invoke(studies, resumed).exit_code == 2
    assert files_of(run, "**/*") == before


def test_a_run_that_goes_on_is_reported_on_elsewhere_alone(made: Material, tmp_path: Path) -> None:
    run = shutil.copytree(made.undisturbed(JOBS["ensemble_vs_llm"]) / "out", tmp_path / "run")
    (run / "manifest.json").unlink()  # as a run does that goes on
    before = files_of(run, "**/*")
    with held(run):
        ended = CliRunner().invoke(studies, ["optuna", str(run)])
        assert (ended.exit_code, ended.stderr.splitlines()[-1]) == (2, f"error: {run}: {HELD}")
        elsewhere = ["optuna", str(run), "--out", str(tmp_path / "so_far.html")]
        assert CliRunner().invoke(studies, elsewhere).exit_code == 0
    assert files_of(run, "**/*") == before
