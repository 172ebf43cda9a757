import errno
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from typer.testing import CliRunner

from llava_core.data.mini.parts import QUOTAS
from studies.catalog import STUDIES, Study
from studies.cli import app
from studies.spec.base import setting_names

runner = CliRunner()


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["list"],
        ["run"],
        ["probe"],
        ["predict"],
        ["tune-worker"],
        ["report"],
        ["optuna"],
        ["verify"],
        ["data"],
        ["data", "mini"],
    ],
)
def test_help_fits_eighty_columns_and_shows_an_example(
    verb: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    result = runner.invoke(app, [*verb, "--help"])
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    if verb not in ([], ["data"]):
        assert f"studies {' '.join(verb)}" in " ".join(result.stdout.split())
        assert "Example" in result.stdout


def test_list_names_studies_presets_and_settings() -> None:
    result = runner.invoke(app, ["list"])
    assert result.exit_code == 0
    for study, entry in STUDIES.items():
        for name in (study, *entry.spec.PRESETS, *setting_names(entry.spec)):
            assert name in result.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nothing"], "ensemble_vs_llm"),
        (["ensemble_vs_llm", "--preset", "fast"], "default, published, quick"),
        (["ensemble_vs_llm", "--set", "fold=2"], "folds"),
        (["ensemble_vs_llm", "--set", "folds=two"], "a whole number"),
        (["ensemble_vs_llm", "--trials", "-1"], "field trials: got -1, allowed 0 or more"),
        (["ensemble_vs_llm", "--limit", "0"], "1 or more"),
        (["ensemble_vs_llm", "--seed", "-1"], "0 or more"),
    ],
)
def test_bad_options_end_with_one_line_and_two(arguments: list[str], told: str, tmp_path: Path) -> None:
    result = runner.invoke(app, ["run", *arguments, "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert told in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments", [["run", "ensemble_vs_llm", "--trials", "two"], ["run"], ["no-such-verb"]]
)
def test_usage_errors_end_with_two(arguments: list[str]) -> None:
    assert runner.invoke(app, arguments).exit_code == 2


def test_an_option_is_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", "--resume"])
    assert result.exit_code == 2
    assert "--out: got --resume, an option" in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_short_write_of_an_array_is_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError("27636 requested and 11232 written")

    monkeypatch.setattr(Study, "run", staticmethod(full))
    result = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    told = f"error: no space left on the disk while writing {tmp_path / 'run'} ("
    assert result.stderr.startswith(told)
    assert result.stderr.endswith(" MB free without it)\n")


@pytest.mark.parametrize("verb", [["run", "ensemble_vs_llm"], ["data", "mini"]])
def test_an_output_that_cannot_be_made_is_one_line(verb: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = runner.invoke(app, [*verb, "--out", str(tmp_path / "file" / "x")])
    assert result.exit_code == 2
    told = result.stderr.strip().splitlines()[-1]
    assert told.startswith(f"error: {tmp_path / 'file' / 'x'}")
    assert "Traceback" not in result.stderr


def test_input_that_cannot_be_used_leaves_the_folder_to_the_mended_command(tmp_path: Path) -> None:
    data, out = tmp_path / "q.jsonl", tmp_path / "run"
    command = ["run", "ensemble_vs_llm", "--data", str(data), "--out", str(out)]
    for _ in range(2):
        result = runner.invoke(app, command)
        assert result.exit_code == 2
        assert "q.jsonl" in result.stderr
        assert not (out / "spec.json").exists()


def test_two_answer_files_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [str(tmp_path / folder / "m.json") for folder in "ab"]
    given = [argument for file in files for argument in ("--llm-answers", file)]
    result = runner.invoke(app, ["run", "ensemble_vs_llm", *given, "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert "two files named m" in result.stderr


def test_another_fault_of_the_system_is_not_hidden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Path:
        raise OSError(errno.ECONNREFUSED, "Connection refused")

    monkeypatch.setattr(Study, "run", staticmethod(broken))
    result = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", str(tmp_path / "run")])
    assert isinstance(result.exception, OSError)


@pytest.mark.parametrize(("words", "how"), [([], " with --resume"), (["--resume"], "")])
def test_ctrl_c_says_how_the_run_goes_on(
    words: list[str], how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_off(*_: object) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "run", staticmethod(broken_off))
    result = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", str(tmp_path / "run"), *words])
    assert (result.exit_code, result.stdout) == (130, "")
    assert result.stderr == f"stopped; the same command{how} goes on from here\n"


def test_ctrl_c_before_the_command_begins_is_no_traceback() -> None:
    program = (
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'studies.catalog': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Finder())\n"
        "import studies.cli"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run" / "features"))

    monkeypatch.setattr(Study, "run", staticmethod(full))
    result = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    told = f"error: no space left on the disk while writing {tmp_path / 'run' / 'features'} ("
    assert result.stderr.startswith(told)
    assert result.stderr.endswith(" MB free without it)\n")


def test_the_report_is_the_last_line_and_the_spec_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Study, "run", staticmethod(lambda spec, run, progress, command: run.path / "r.html"))
    out = tmp_path / "run"
    result = runner.invoke(
        app, ["run", "ensemble_vs_llm", "--out", str(out), "--set", "folds=3", "--trials", "5"]
    )
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"report: {out / 'r.html'}"
    stored = json.loads((out / "spec.json").read_text())
    assert (stored["folds"], stored["trials"]) == (3, 5)
    again = runner.invoke(app, ["run", "ensemble_vs_llm", "--out", str(out), "--resume"])
    assert again.exit_code == 2
    assert "folds: 3, 4" in again.stderr


@pytest.mark.parametrize(
    "command", [["predict", "none", "--data", "none"], ["compare", "none", "none"], ["optuna", "mine.log"]]
)
def test_a_folder_where_a_file_is_written_is_told_before_the_work(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.html").mkdir()
    for out in ("p.html", "") if command[0] == "predict" else ("p.html",):
        result = runner.invoke(app, [*command, "--out", out])
        assert result.exit_code == 2
        assert result.stderr == f"error: {out or '.'}, field out: got a folder, allowed is a file to write\n"


def test_a_folder_in_use_is_not_overwritten_by_data(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    result = runner.invoke(app, ["data", "mini", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "not empty" in result.stderr


def test_data_that_stand_already_are_left_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part, quotas in QUOTAS.items():
        monkeypatch.setitem(QUOTAS, part, tuple(replace(quota, n=1) for quota in quotas))
    command = ["data", "mini", "--out", str(tmp_path / "mini")]
    assert runner.invoke(app, command).exit_code == 0
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    (tmp_path / ".mini.lock").touch()  # as a run leaves that is killed at its very end
    assert runner.invoke(app, command).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before
    other = runner.invoke(app, [*command, "--seed", "1"])
    assert other.exit_code == 2
    assert "not empty" in other.stderr


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = tmp_path / "mine.log"
    storage = JournalStorage(JournalFileBackend(str(file)))
    study = optuna.create_study(study_name="mine", storage=storage, sampler=optuna.samplers.RandomSampler(0))
    study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=6)
    return file


def test_a_journal_of_ones_own_is_reported(journal: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    before = journal.read_bytes()
    result = runner.invoke(app, ["optuna", str(journal), "--out", str(page)])
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == f"report: {page}"
    assert "Random search at equal budget is not measured." in page.read_text(encoding="utf-8")
    assert len((tmp_path / "page.csv").read_text().splitlines()) == 1 + 6
    assert journal.read_bytes() == before


def test_a_journal_is_not_replaced_by_its_page(journal: Path) -> None:
    before, page = journal.read_bytes(), journal.with_suffix(".html")
    result = runner.invoke(app, ["optuna", str(journal), "--out", str(journal)])
    assert (result.exit_code, result.stderr) == (
        2, "error: field out: got mine.log, allowed is a name that ends in .html\n"
    )  # fmt: skip
    assert journal.read_bytes() == before
    for source in (page, f"sqlite:///{page}"):
        page.write_bytes(before)
        result = runner.invoke(app, ["optuna", str(source), "--out", str(page)])
        assert (result.exit_code, page.read_bytes()) == (2, before)
        assert "got a file that is read" in result.stderr


def test_questions_are_not_replaced_by_their_answers(tmp_path: Path) -> None:
    data, answers = tmp_path / "q.jsonl", tmp_path / "answers.json"
    for file in (data, answers):
        file.write_text("mine")
        command = ["predict", "none", "--data", str(data), "--llm-answers", str(answers)]
        result = runner.invoke(app, [*command, "--out", str(file)])
        assert (result.exit_code, file.read_text()) == (2, "mine")
        assert "got a file that is read" in result.stderr


@pytest.mark.parametrize("name", ["page.csv", "page.json"])
def test_a_file_of_others_beside_the_page_is_not_replaced(name: str, journal: Path, tmp_path: Path) -> None:
    page, mine = tmp_path / "page.html", tmp_path / name
    command = ["optuna", str(journal), "--out", str(page)]
    for content in ("study,mine\n", '{\n "title": "mine"\n}', ""):
        mine.write_text(content)
        result = runner.invoke(app, command)
        assert (result.exit_code, mine.read_text(), page.exists()) == (2, content, False)
        assert result.stderr.startswith(f"error: {mine}: would be replaced beside page.html")
    mine.unlink()
    for _ in range(2):
        assert runner.invoke(app, command).exit_code == 0


def test_a_database_of_ones_own_is_reported_by_file_and_by_url(journal: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.db"
    url = f"sqlite:///{file}"
    optuna.copy_study(
        from_study_name="mine", from_storage=JournalStorage(JournalFileBackend(str(journal))), to_storage=url
    )
    pages = []
    for source in (str(file), url):
        result = runner.invoke(app, ["optuna", source, "--out", str(tmp_path / "p.html")])
        assert result.exit_code == 0, result.stderr
        pages.append((tmp_path / "p.csv").read_text())
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no such file"),
        (["."], "holds no run"),
        (["mine.log", "--random"], "got no run folder"),
        (["mine.log", "--dashboard"], "pip install 'llava-ensembles[dashboard]'"),
        (["sqlite:///nowhere.db"], "no such file"),
        (["nothing://host/db"], "nothing://host/db"),
    ],
)
def test_what_cannot_be_reported_ends_with_one_line_and_two(
    arguments: list[str], told: str, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(journal.parent)
    monkeypatch.setattr("studies.catalog.dashboard.PROGRAM", "no-such-dashboard")
    result = runner.invoke(app, ["optuna", *arguments])
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert told in result.stderr
    assert [file.name for file in journal.parent.iterdir()] == ["mine.log"]
