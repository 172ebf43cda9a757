"""`studies optuna` on a finished run: what was compared, at no hidden cost, and the dashboard."""

import csv
import json
import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from studies.catalog.dashboard import copy_studies
from studies.progress import Silent
from studies.verified import verify_run

Studies = Callable[..., subprocess.CompletedProcess[str]]
Finished = tuple[Path, str, str]
MEMBERS = (
    "decision_tree", "random_forest", "xgboost", "lightgbm", "forest_of_xgboost", "neighbours", "linear",
)  # fmt: skip


def study_in(journal: Path) -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(journal)))
    (name,) = optuna.get_all_study_names(storage)
    return optuna.load_study(study_name=name, storage=storage)


def predictions_of(run: Path) -> dict[str, int]:
    return {file.name: file.stat().st_mtime_ns for file in (run / "oof" / "folds").iterdir()}


@pytest.fixture(scope="module")
def compared(
    studies: Studies, finished: Finished, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Copy of the finished run with its random searches, and what the command said."""
    run = tmp_path_factory.mktemp("compared") / "run"
    shutil.copytree(finished[0], run)
    return run, studies("optuna", run, "--random")


def test_a_run_compares_with_the_defaults_and_says_that_it_did_not_search_at_random(
    finished: Finished,
) -> None:
    for name in MEMBERS:
        found = json.loads((finished[0] / "optuna" / f"{name}.compared.json").read_text())
        trials = study_in(finished[0] / "optuna" / f"{name}.journal").trials
        values = [trial.value for trial in trials if trial.state.name == "COMPLETE"]
        assert found["chosen"]["value"] == pytest.approx(min(values))
        assert found["default"]["value"] == pytest.approx(trials[0].value)
        assert found["default"]["difference"]["value"] == pytest.approx(min(values) - trials[0].value)
        assert found["random"] is None
    page = (finished[0] / "optuna.html").read_text(encoding="utf-8")
    assert page.count("Random search at equal budget is not measured") == len(MEMBERS)


def test_a_random_search_has_as_many_trials_and_is_told(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    run, done = compared
    assert done.returncode == 0, done.stderr
    assert "torch loaded: False" in done.stderr
    assert "trials of 7 members, as many as the tuning had; about" in " ".join(done.stderr.split())
    assert done.stdout.splitlines()[-1] == f"report: {run / 'optuna.html'}"
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    for name in MEMBERS:
        found = json.loads((run / "optuna" / f"{name}.compared.json").read_text())["random"]
        tuned = study_in(run / "optuna" / f"{name}.journal").trials
        drawn = study_in(run / "optuna" / f"{name}.random.journal").trials
        assert found["n_trials"] == len(drawn) == len(tuned)
        assert found["value"] == pytest.approx(min(t.value for t in drawn if t.value is not None))
    assert "not measured" not in (run / "optuna.html").read_text(encoding="utf-8")
    listed = json.loads((run / "manifest.json").read_text())["files"]
    assert {"optuna.csv", "optuna.json", "optuna/xgboost.random.journal"} <= set(listed)
    assert verify_run(run, lambda done, total: None).is_whole


def test_asked_again_it_fits_nothing(
    studies: Studies, compared: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    run, first = compared
    before = predictions_of(run)
    again = studies("optuna", run, "--random")
    assert again.returncode == 0, again.stderr
    assert "nothing is fitted" in again.stderr
    assert predictions_of(run) == before
    assert again.stdout == first.stdout


def test_the_files_beside_the_page_hold_every_trial(
    compared: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    run, _ = compared
    with (run / "optuna.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = json.loads((run / "optuna.json").read_text())["studies"]
    journals = {name: study_in(run / "optuna" / f"{name}.journal").trials for name in MEMBERS}
    assert len(rows) == sum(map(len, journals.values())) == sum(len(study["trials"]) for study in told)
    (xgboost,) = (study for study in told if study["method"] == "xgboost")
    for trial in xgboost["trials"]:
        assert trial["params"] == journals["xgboost"][trial["number"]].params


def test_other_questions_than_the_run_was_tuned_on_are_refused(
    studies: Studies, finished: Finished, questions: Path, tmp_path: Path
) -> None:
    run, other = tmp_path / "run", tmp_path / "questions.jsonl"
    shutil.copytree(finished[0], run)
    other.write_text("\n".join(questions.read_text().splitlines()[:-20]) + "\n")
    spec = json.loads((run / "spec.json").read_text())
    (run / "spec.json").write_text(json.dumps({**spec, "data": str(other)}))
    (run / "manifest.json").unlink()
    done = studies("optuna", run, "--random")
    assert done.returncode == 2
    assert "was tuned on other questions or features" in done.stderr
    assert not list((run / "optuna").glob("*.random.journal"))


def test_trials_that_do_not_come_to_their_scores_are_refused(
    studies: Studies, compared: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(compared[0], run)
    journal = run / "optuna" / "decision_tree.journal"
    told = study_in(journal).trials[0].value
    text = journal.read_text()
    assert repr(told) in text
    journal.write_text(text.replace(repr(told), repr(told - 0.1)))
    (run / "manifest.json").unlink()
    done = studies("optuna", run, "--random")
    assert done.returncode == 2
    assert "decision_tree.journal: trial 0 of decision_tree was told" in done.stderr


def test_the_dashboard_gets_all_studies_of_the_run(
    studies: Studies, compared: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    run, _ = compared
    fake = tmp_path / "bin" / "optuna-dashboard"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\ncp "$1" {tmp_path}/served\necho "$2 $3" > {tmp_path}/options\nexit 3\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake.parent}{os.pathsep}{os.environ['PATH']}")
    before = {file: file.read_bytes() for file in (run / "optuna").iterdir()}
    done = studies("optuna", run, "--dashboard", "--port", "8123")
    assert done.returncode == 3, done.stderr
    assert (tmp_path / "options").read_text() == "--port 8123\n"
    served = JournalStorage(JournalFileBackend(str(tmp_path / "served")))
    names = set(optuna.get_all_study_names(served))
    assert names == set(MEMBERS) | {f"{name}-random" for name in MEMBERS}
    copied = optuna.load_study(study_name="xgboost", storage=served)
    assert [t.value for t in copied.trials] == [
        t.value for t in study_in(run / "optuna" / "xgboost.journal").trials
    ]
    assert {file: file.read_bytes() for file in (run / "optuna").iterdir()} == before


def test_copies_of_no_journal_are_empty(tmp_path: Path) -> None:
    copy_studies([], tmp_path / "none", Silent())
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "none")))
    assert optuna.get_all_study_names(storage) == []
