import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llava_core.claims import check_writable, claimed, claimed_file, locked
from llava_core.drafts import whole_file
from llava_core.errors import InputError

HOLD = """
import sys
from pathlib import Path
from llava_core.claims import claimed
with claimed(Path("out")):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_place_belongs_to_one_until_it_ends(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with (
        claimed(out),
        pytest.raises(InputError, match="out: another process writes this"),
        claimed(out),
    ):
        pass
    with claimed(out):
        pass
    assert list(tmp_path.iterdir()) == []
    with claimed(out):
        out.touch()
    assert list(out.parent.iterdir()) == [out]


def test_a_place_is_the_same_under_all_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "link").symlink_to(out)
    monkeypatch.chdir(out)
    with claimed(out):
        for name in (Path(), Path("../out"), tmp_path / "link"):
            with pytest.raises(InputError, match="another process writes this"), claimed(name):
                pass
    assert {file.name for file in tmp_path.iterdir()} == {"out", "link"}
    with pytest.raises(InputError, match="/: got the root of all folders"), claimed(Path("/")):
        pass


def test_a_killed_process_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).resolve().parents[2]
    monkeypatch.setenv("PYTHONPATH", str(root))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process"), claimed(tmp_path / "out"):
        pass
    holder.kill()
    holder.communicate()
    with claimed(tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, opened = tmp_path / "lock", []

    def remove_once(path: Path, place: Path):
        opened.append(path.open("w"))
        if len(opened) == 1:
            path.unlink()
        return opened[-1]

    monkeypatch.setattr("llava_core.claims._opened", remove_once)
    with locked(file, place=tmp_path):
        assert file.is_file()
    assert len(opened) == 2


def test_a_file_is_no_folder_to_write_into(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: nothing can be written here"):
        check_writable(tmp_path / "file")
    with pytest.raises(InputError, match="out: nothing can be written here"), claimed(tmp_path / "file/out"):
        pass


def test_a_pipe_or_device_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for out in (pipe, Path("/dev/null")):
        with pytest.raises(InputError, match=f"{out}: got a pipe or a device"), claimed(out):
            pass
    assert list(tmp_path.iterdir()) == [pipe]
    assert pipe.is_fifo()


@pytest.mark.parametrize("name", ["", "folder"])
def test_a_folder_is_no_place_for_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="field out: got a folder"), claimed_file(Path(name)):
        pass


@pytest.mark.parametrize(
    ("name", "held"), [("spec.json", {"study": "s"}), ("manifest.json", {"schema_version": 1, "files": {}})]
)
def test_nothing_is_written_into_a_result(name: str, held: dict[str, object], tmp_path: Path) -> None:
    result, link = tmp_path / "result", tmp_path / "link"
    (result / "deep").mkdir(parents=True)
    link.symlink_to(result / "deep")
    (result / name).write_text(json.dumps(held))
    for out in (result / "summary.json", result / "deep" / "new" / "p.html", link / "p.html"):
        told = f"{out}, field out: got a place within {result}, which holds a run, a feature store"
        with pytest.raises(InputError, match=told), claimed_file(out):
            pass
    assert sorted(file.name for file in result.iterdir()) == ["deep", name]
    (result / name).write_text('{"name": "of somebody else"}')
    with claimed_file(result / "p.html"):
        pass


def test_a_link_leads_to_the_file_that_is_written(tmp_path: Path) -> None:
    link, there = tmp_path / "link.html", tmp_path / "there" / "page.html"
    link.symlink_to(there)
    with claimed_file(tmp_path / "plain.html") as place:
        assert place == tmp_path / "plain.html"
    with claimed_file(link) as place, whole_file(place) as draft:
        draft.write_text("new")
    assert link.is_symlink()
    assert there.read_text() == "new"

    def beside(page: Path) -> dict[Path, bytes]:
        return {page.with_suffix(".json"): b"[{]"}

    there.with_suffix(".json").write_text("mine")
    told = "page.json: would be replaced beside page.html"
    with pytest.raises(InputError, match=told), claimed_file(link, beside=beside):
        pass
    there.with_suffix(".json").write_text("{}")
    with claimed_file(link, beside=beside):
        pass


def test_what_is_read_is_not_written(tmp_path: Path) -> None:
    data, link = tmp_path / "q.jsonl", tmp_path / "link.jsonl"
    data.write_text("{}")
    link.symlink_to(data)
    for out, read in ((data, data), (link, data), (data, link), (tmp_path / "x" / ".." / "q.jsonl", data)):
        told = "field out: got a file that is read; name another --out"
        with pytest.raises(InputError, match=told), claimed_file(out, inputs=[None, read]):
            pass
    with claimed_file(tmp_path / "other.jsonl", inputs=[None, data]):
        pass
