"""Files of a run against its manifest: unit tests on folders of a few files."""

from pathlib import Path

import pytest

from llava_core.errors import InputError
from studies.rundir import RunDir
from studies.verified import checked, checked_folder, list_anew, read_manifest, rewriting, unlist, verify_run

FILES = ("summary.json", "spec.json", "models/a/model.skops", "tables/x.csv")


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"content of {name}")
    RunDir(path=tmp_path).finish({"study": "s"})
    return tmp_path


def flip(file: Path) -> None:
    whole = file.read_bytes()
    file.write_bytes(bytes([whole[0] ^ 1]) + whole[1:])


def test_a_run_as_it_was_written_is_whole(run: Path) -> None:
    (run / ".lock").touch()
    found = verify_run(run, quiet)
    assert found.is_whole
    assert found.n_files == len(FILES)
    assert found.n_bytes == sum((run / name).stat().st_size for name in FILES)
    for name in FILES:
        assert checked(run, name) == run / name


def test_every_difference_is_told_by_kind(run: Path) -> None:
    flip(run / "spec.json")
    (run / "tables/x.csv").unlink()
    (run / "models/a/more").touch()
    found = verify_run(run, quiet)
    assert (found.changed, found.missing, found.added) == (
        ("spec.json",), ("tables/x.csv",), ("models/a/more",),
    )  # fmt: skip
    assert not found.is_whole


def test_progress_goes_up_to_the_megabytes_there_are(run: Path) -> None:
    (run / "big").write_bytes(bytes(3_500_000))
    RunDir(path=run).finish({})
    ticks: list[tuple[int, int]] = []
    verify_run(run, lambda done, total: ticks.append((done, total)))
    assert ticks == sorted(ticks)
    assert ticks[-1] == (3, 3)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_refused_by_whoever_reads_the_file(run: Path, name: str) -> None:
    flip(run / name)
    with pytest.raises(InputError, match="was changed after the run") as told:
        checked(run, *FILES)
    assert told.value.path == run / name


def test_a_folder_is_checked_with_what_was_added_to_it_and_taken_from_it(run: Path) -> None:
    assert checked_folder(run, "models/a") == run / "models/a"
    (run / "models/a/more").touch()
    with pytest.raises(InputError, match=r"more: manifest\.json does not list this file"):
        checked_folder(run, "models/a")
    (run / "models/a/more").unlink()
    (run / "models/a/model.skops").unlink()
    with pytest.raises(InputError, match=r"model\.skops: no such file in the run"):
        checked_folder(run, "models/a")


def test_listing_anew_takes_what_was_written_and_nothing_else(run: Path) -> None:
    flip(run / "spec.json")
    flip(run / "tables/x.csv")
    for name in ("tables/y.csv", "oof/z", "stranger"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    list_anew(run, written=["tables/*"], added=["oof/*", "spec.json"])
    found = verify_run(run, quiet)
    assert (found.changed, found.missing, found.added) == (("spec.json",), (), ("stranger",))
    (run / "tables/y.csv").unlink()
    list_anew(run, written=["tables/*"])
    assert "tables/y.csv" not in read_manifest(run)["files"]
    assert read_manifest(run)["study"] == "s"


def test_what_is_about_to_be_written_is_added_and_not_changed_when_cut_off(run: Path) -> None:
    unlist(run, ["tables/*"])
    flip(run / "tables/x.csv")
    found = verify_run(run, quiet)
    assert (found.changed, found.added) == ((), ("tables/x.csv",))


def test_what_a_command_that_fails_had_not_come_to_is_listed_as_before(run: Path) -> None:
    (run / "tables/y.csv").touch()
    RunDir(path=run).finish({})

    def write_and_fail() -> None:
        with rewriting(run, ["tables/*"]):
            assert verify_run(run, quiet).added == ("tables/x.csv", "tables/y.csv")
            flip(run / "tables/x.csv")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_and_fail()
    found = verify_run(run, quiet)
    assert (found.changed, found.missing, found.added) == ((), (), ("tables/x.csv",))
    with rewriting(run, ["tables/*"]):
        (run / "tables/y.csv").unlink()
    assert verify_run(run, quiet).is_whole


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "holds an unfinished run"),
        ("{", "broken JSON"),
        ("[]", "got a list, allowed is an object"),
        ('{"a": ' * 2000 + "1" + "}" * 2000, "nested too deeply"),
        ('{"schema_version": 1}', "got a broken manifest"),
        ('{"schema_version": 1, "files": {"a": 1}}', "got a broken manifest"),
        ('{"schema_version": 1, "files": {"a": {}}}', "field files: got a file without"),
        ('{"schema_version": 9, "files": {}}', "got 9, allowed is 1"),
    ],
)
def test_a_manifest_that_is_none_is_refused(run: Path, content: str | None, told: str) -> None:
    if content is None:
        (run / "manifest.json").unlink()
    else:
        (run / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=told):
        verify_run(run, quiet)


def test_a_run_that_goes_on_is_not_finished(run: Path) -> None:
    RunDir(path=run).reopen()
    assert not RunDir(path=run).finished
    with pytest.raises(InputError, match="unfinished run"):
        checked(run, "summary.json")
