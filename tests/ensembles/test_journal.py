import os
import signal
import subprocess
import sys
from pathlib import Path

import optuna
import pytest

from ensembles.journal import cut_torn_line, open_journal

KILLED_AT_WORK = """
import os, signal, sys
from pathlib import Path
from ensembles.journal import JournalLock
JournalLock(Path(sys.argv[1])).acquire()
os.kill(os.getpid(), signal.SIGKILL)
"""


def numbers(journal: Path) -> list[int]:
    return [trial.number for trial in optuna.load_study(study_name="s", storage=open_journal(journal)).trials]


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of one trial, by a relative path."""
    monkeypatch.chdir(tmp_path)
    path = Path("folder") / "s.journal"
    path.parent.mkdir()
    optuna.create_study(study_name="s", storage=open_journal(path)).ask()
    return path


def test_a_killed_process_holds_nobody_off(journal: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED_AT_WORK, str(journal)], check=False)
    assert killed.returncode == -signal.SIGKILL
    optuna.load_study(study_name="s", storage=open_journal(journal)).ask()
    assert numbers(journal) == [0, 1]
    assert [file.name for file in journal.parent.iterdir()] == ["s.journal"]


@pytest.mark.parametrize("n_bytes", [1, 20, 5000])
def test_a_torn_line_is_dropped_and_what_follows_is_read(journal: Path, n_bytes: int) -> None:
    with journal.open("a") as file:
        file.write(('{"op_code":8,"trial_id":0,"user_attr":{"a":"' + "x" * n_bytes)[:n_bytes])
    assert numbers(journal) == [0]
    study = optuna.load_study(study_name="s", storage=open_journal(journal))
    study.tell(study.ask(), 1.0)
    assert numbers(journal) == [0, 1]


@pytest.mark.parametrize(
    ("before", "after"), [(b"", b""), (b"torn", b""), (b"a\nb\n", b"a\nb\n"), (b"a\nb", b"a\n")]
)
def test_only_what_stands_behind_the_last_line_end_is_cut(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    path = tmp_path / "file"
    path.write_bytes(before)
    handle = os.open(path, os.O_RDWR)
    cut_torn_line(handle)
    os.close(handle)
    assert path.read_bytes() == after
