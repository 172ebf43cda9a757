import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llava_core.errors import InputError
from studies import rundir
from studies.files import file_hash, write_json
from studies.rundir import Facts, RunDir, digest, open_run


def same(_: str) -> list[str]:
    return []


def writer(folder: RunDir, name: str, text: str, calls: list[str]) -> Callable[[], Facts]:
    def do() -> Facts:
        calls.append(text)
        (folder.path / name).write_text(text)
        return {"length": len(text)}

    return do


def test_a_step_runs_once_per_key(tmp_path: Path) -> None:
    run, calls = RunDir(path=tmp_path), list[str]()
    for _ in range(2):
        facts = run.step("a", inputs={"x": 1}, outputs=["out"], do=writer(run, "out", "one", calls))
        assert facts == {"length": 3}
    run.step("a", inputs={"x": 2}, outputs=["out"], do=writer(run, "out", "other", calls))
    assert calls == ["one", "other"]


def test_a_lost_output_is_made_again(tmp_path: Path) -> None:
    run, calls = RunDir(path=tmp_path), list[str]()
    run.step("a", inputs={}, outputs=["out"], do=writer(run, "out", "one", calls))
    (tmp_path / "out").unlink()
    run.step("a", inputs={}, outputs=["out"], do=writer(run, "out", "one", calls))
    assert len(calls) == 2


@pytest.mark.parametrize("torn", ["", "on", "others"])
def test_an_output_that_was_changed_is_not_taken_up(tmp_path: Path, torn: str) -> None:
    run, calls = RunDir(path=tmp_path), list[str]()
    write = writer(run, "folder/file", "one", calls)

    def do() -> Facts:
        (tmp_path / "folder").mkdir(exist_ok=True)
        return write()

    def step() -> None:
        run.step("a", inputs={}, outputs=["folder"], do=do)

    step()
    (tmp_path / "folder" / "file").write_text(torn)
    with pytest.raises(InputError, match="folder/file: is not what the step a left; remove it to have it"):
        step()
    (tmp_path / "folder" / "file").unlink()
    step()
    assert calls == ["one", "one"]


@pytest.mark.parametrize(("key", "left"), [(1, True), (2, False)])
def test_a_cut_off_step_keeps_its_outputs_only_under_the_same_key(
    tmp_path: Path, key: int, left: bool
) -> None:
    run = RunDir(path=tmp_path)

    def cut_off() -> Facts:
        (tmp_path / "out").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.step("a", inputs={"x": 1}, outputs=["out"], do=cut_off)
    found = list[bool]()

    def look() -> Facts:
        found.append((tmp_path / "out").exists())
        (tmp_path / "out").write_text("whole")
        return {}

    run.step("a", inputs={"x": key}, outputs=["out"], do=look)
    assert found == [left]


def test_a_step_without_its_output_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="ended without out"):
        RunDir(path=tmp_path).step("a", inputs={}, outputs=["out"], do=lambda: None)


def test_a_broken_marker_counts_as_none(tmp_path: Path) -> None:
    run, calls = RunDir(path=tmp_path), list[str]()
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "a.json").write_text('{"state": "do')
    run.step("a", inputs={}, outputs=["out"], do=writer(run, "out", "one", calls))
    assert calls == ["one"]


def test_a_new_folder_keeps_the_specification(tmp_path: Path) -> None:
    with open_run(tmp_path / "deep" / "run", spec="{}", resume=False, differ=same) as run:
        assert (run.path / "spec.json").read_text() == "{}"
        assert not run.finished


def test_a_run_that_was_killed_before_its_specification_stood_begins(tmp_path: Path) -> None:
    for name in (".lock", ".spec.json.writing"):
        (tmp_path / name).write_text("")
    for _ in range(2):
        with open_run(tmp_path, spec="{}", resume=True, differ=same) as run:
            assert (run.path / "spec.json").read_text() == "{}"
    assert not (tmp_path / ".spec.json.writing").exists()


def test_drafts_of_killed_processes_are_removed_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "oof").mkdir()
    (tmp_path / "oof" / ".1f0c.4711.writing").write_text("half")
    (tmp_path / ".gitignore").write_text("*")
    RunDir(path=tmp_path).finish({})
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")} == {
        ".gitignore", "manifest.json", "oof",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("content", "resume", "differ", "told"),
    [
        ("notes.txt", True, same, "holds no run"),
        ("spec.json", False, same, "--resume"),
        ("spec.json", True, lambda _: ["seed: 0, 1"], "seed: 0, 1"),
    ],
)
def test_a_folder_that_is_not_this_run_is_refused(
    tmp_path: Path, content: str, resume: bool, differ: Callable[[str], list[str]], told: str
) -> None:
    (tmp_path / content).write_text("{}")
    with (
        pytest.raises(InputError, match=told),
        open_run(tmp_path, spec="{}", resume=resume, differ=differ),
    ):
        pass
    assert [file.name for file in tmp_path.iterdir()] == [content]


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with (
        pytest.raises(InputError, match="got a file"),
        open_run(tmp_path / "run", spec="", resume=True, differ=same),
    ):
        pass


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    probe = (
        "import sys; from pathlib import Path; from studies.rundir import open_run\n"
        "with open_run(Path(sys.argv[1]), spec='{}', resume=True, differ=lambda _: []): pass"
    )
    command = [sys.executable, "-c", probe, str(tmp_path)]
    with open_run(tmp_path, spec="{}", resume=False, differ=same):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "another process" in refused.stderr
    subprocess.run(command, check=True)


@pytest.mark.parametrize(("resume", "told"), [(False, "--resume"), (True, "another specification")])
def test_a_run_that_another_process_began_in_between_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resume: bool, told: str
) -> None:
    def come_between(folder: Path) -> None:
        (folder / "spec.json").write_text("other")

    monkeypatch.setattr(rundir, "check_writable", come_between)
    with (
        pytest.raises(InputError, match=told),
        open_run(tmp_path, spec="{}", resume=resume, differ=lambda stored: [stored]),
    ):
        pass
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("spec.json", "other")]


def test_the_manifest_names_every_kept_file(tmp_path: Path) -> None:
    with open_run(tmp_path, spec="{}", resume=False, differ=same) as run:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "tree").write_text("tree")
        run.finish({"seconds": 1.5})
        assert run.finished
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["seconds"] == 1.5
    assert set(manifest["files"]) == {"spec.json", "models/tree"}
    assert manifest["files"]["models/tree"] == {"bytes": 4, "sha256": file_hash(tmp_path / "models" / "tree")}


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}


def test_the_digest_forgets_order_and_minds_values() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
