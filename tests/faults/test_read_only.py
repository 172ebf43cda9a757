"""A folder that cannot be written to is told in one line before any work is done."""

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from llava_core.claims import check_writable
from llava_core.errors import InputError
from tests.faults.disks import Disk, disk, one_line
from tests.faults.jobs import JOBS, Material, studies

TESTED = ("generate", "filter", "align", "extract", "ensemble_vs_llm")
READ_ONLY = "nothing can be written here (read-only file system)"


@pytest.fixture(scope="module")
def read_only(made: Material, tmp_path_factory: pytest.TempPathFactory, needs_disks: None) -> Iterator[Disk]:
    """A disk with a finished run, to which nothing can be written any more."""
    run = made.undisturbed(JOBS["ensemble_vs_llm"]) / "out"
    with disk(tmp_path_factory.mktemp("read_only") / "disk") as opened:
        opened.run("cp", "-r", str(run), "finished", check=True)
        opened.remount("ro")
        yield opened


@pytest.mark.parametrize("name", TESTED)
def test_a_read_only_folder_is_told_before_the_work(name: str, made: Material, read_only: Disk) -> None:
    n_asked = len(made.server.requests)
    ended = read_only.run(sys.executable, *JOBS[name].command(made))
    assert one_line(ended, f"error: out: {READ_ONLY}") == ""
    assert len(made.server.requests) == n_asked


def test_a_read_only_run_is_read_and_not_written(read_only: Disk, tmp_path: Path) -> None:
    refused = read_only.run(sys.executable, *studies("report", "finished"))
    assert one_line(refused, f"error: finished: {READ_ONLY}") == ""
    page = tmp_path / "optuna.html"
    read = read_only.run(sys.executable, *studies("optuna", "finished", "--out", page))
    assert read.returncode == 0, read.stderr
    assert page.is_file()


def test_a_folder_without_permission_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0:  # permissions do not bind the administrator
        refusal = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        monkeypatch.setattr("llava_core.claims.TemporaryFile", Mock(side_effect=refusal))
    with pytest.raises(InputError, match=r"closed: nothing can be written here \(permission denied\)"):
        check_writable(closed)
