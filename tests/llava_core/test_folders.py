from pathlib import Path

import pytest

from llava_core.checkpoint.folder import MARKS as of_checkpoint
from llava_core.errors import InputError
from llava_core.features.store import MARKS as of_store
from llava_core.folders import check_replaceable, clear_drafts, scratch_folder, whole_folder


def test_nothing_an_empty_folder_and_ours_may_be_replaced(tmp_path):
    check_replaceable(tmp_path / "new" / "deep", marks=("mark",))
    assert (tmp_path / "new").is_dir()
    (tmp_path / "ours").mkdir()
    check_replaceable(tmp_path / "ours", marks=("mark",))
    (tmp_path / "ours" / "mark").write_text("")
    (tmp_path / "ours" / "other").write_text("")
    check_replaceable(tmp_path / "ours", marks=("mark",))


def test_a_folder_of_others_and_a_file_stay(tmp_path, bundle):
    from llava_core.checkpoint import save_checkpoint

    precious = tmp_path / "theirs" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("precious")
    with pytest.raises(InputError, match="theirs: got a folder that is not ours to replace"):
        save_checkpoint(bundle, precious.parent, stage="x", seen_ids=())
    with pytest.raises(InputError, match=r"precious\.txt: got a file, allowed is a folder"):
        save_checkpoint(bundle, precious, stage="x", seen_ids=())
    with pytest.raises(InputError, match="the folder above cannot be made"):
        check_replaceable(precious / "deep" / "er", marks=())
    assert precious.read_text() == "precious"


def test_the_working_folder_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in (Path(), tmp_path, Path("..") / tmp_path.name):
        with pytest.raises(InputError, match="got the working folder, which is not replaced"):
            check_replaceable(name, marks=())


def test_each_command_replaces_folders_of_its_own_kind_alone(tmp_path):
    for kind, marks in (("checkpoint", of_checkpoint), ("store", of_store)):
        (tmp_path / kind).mkdir()
        for name in (*marks, "manifest.json"):
            (tmp_path / kind / name).write_text("")
    (tmp_path / "run").mkdir()
    for name in ("spec.json", "manifest.json"):
        (tmp_path / "run" / name).write_text("")
    for kind, marks in (("checkpoint", of_checkpoint), ("store", of_store)):
        check_replaceable(tmp_path / kind, marks=marks)
        for other in {"checkpoint", "store", "run"} - {kind}:
            with pytest.raises(InputError, match="not ours to replace"):
                check_replaceable(tmp_path / other, marks=marks)


def test_scratch_is_gone_at_the_end_and_that_of_a_killed_run_at_the_start(tmp_path):
    place = tmp_path / "deep" / "out"
    with scratch_folder(place) as scratch:
        (scratch / "half").write_text("")
        left = scratch.rename(tmp_path / "left")
    left.rename(scratch)
    with scratch_folder(place) as again:
        assert again == scratch
        assert list(again.iterdir()) == []
    with pytest.raises(RuntimeError), scratch_folder(place):
        raise RuntimeError
    assert list(place.parent.iterdir()) == []


def test_a_folder_appears_whole_and_replaces_the_old_one(tmp_path):
    place = tmp_path / "deep" / "out"
    for content in ("old", "new"):
        with whole_folder(place) as draft:
            (draft / content).write_text(content)
            assert not (place / content).exists()
        assert [file.name for file in place.iterdir()] == [content]
    assert [path.name for path in place.parent.iterdir()] == ["out"]


def test_a_folder_that_fails_leaves_what_was_there(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")

    def write_and_fail():
        with whole_folder(tmp_path / "out") as draft:
            (draft / "new").write_text("")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["out", "out/old"]


def test_what_a_killed_process_left_is_cleared(tmp_path):
    for name in (".out.writing", ".out.replaced"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    (tmp_path / ".out.lock").write_text("")
    with whole_folder(tmp_path / "out") as draft:
        assert list(draft.iterdir()) == []
    (tmp_path / ".out.replaced").mkdir()
    clear_drafts(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_second_process_is_refused_and_clears_nothing(tmp_path):
    with whole_folder(tmp_path / "out") as draft:
        (draft / "file").write_text("")
        clear_drafts(tmp_path / "out")
        with (
            pytest.raises(InputError, match="out: another process writes this"),
            whole_folder(tmp_path / "out"),
        ):
            pass
        assert (draft / "file").exists()
    assert (tmp_path / "out" / "file").exists()
