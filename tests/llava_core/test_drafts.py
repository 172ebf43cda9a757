import errno
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from safetensors import SafetensorError

import ensembles.drafts
import llava_core.drafts
from llava_core.drafts import naming, whole_file
from llava_core.errors import InputError, told_in_one_line

FULL = "No space left on device"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, FULL),
        OSError("2500 requested and 1008 written"),
        SafetensorError(f"Error while serializing: I/O error: {FULL} (os error 28)"),
        Exception(f"{FULL} (os error 28)"),
        sqlite3.OperationalError("database or disk is full"),
    ],
)
def test_a_full_disk_names_the_file_whichever_library_met_it(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="result") as told, naming(tmp_path / "result"):
        raise error
    assert told.value.errno == errno.ENOSPC
    line = told_in_one_line(told.value)
    assert line is not None
    assert line.startswith(f"no space left on the disk while writing {tmp_path / 'result'} (")


def test_an_error_in_a_draft_names_what_it_becomes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as told, whole_file(tmp_path / "result") as draft:
        draft.read_text()
    assert told.value.filename == str(tmp_path / "result")


@pytest.mark.parametrize("error", [InputError("(os error 28)"), ValueError("no"), ConnectionError("no")])
def test_other_errors_pass_as_they_are(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(type(error)) as told, naming(tmp_path):
        raise error
    assert told.value is error


def test_a_file_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "result").write_text("old")
    (tmp_path / ".result.writing").write_text("of a killed process")

    def write_half(draft: Path) -> None:
        assert not draft.exists()
        draft.write_text("half")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), whole_file(tmp_path / "result") as draft:
        write_half(draft)
    assert [file.name for file in tmp_path.iterdir()] == ["result"]
    assert (tmp_path / "result").read_text() == "old"


@pytest.mark.parametrize("save", [llava_core.drafts.save_array, ensembles.drafts.save_array])
@pytest.mark.parametrize("array", [np.arange(6.0).reshape(2, 3), np.asfortranarray(np.eye(3)), np.zeros(0)])
def test_an_array_is_written_as_numpy_writes_it(save, array, tmp_path: Path) -> None:
    save(tmp_path / "ours.npy", array)
    np.save(tmp_path / "numpy.npy", array, allow_pickle=False)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "numpy.npy").read_bytes()
