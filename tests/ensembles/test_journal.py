import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from ensembles.journal import cut_torn_line, open_journal
from ensembles.oof import encode_folds
from ensembles.oof_store import OofStore
from ensembles.search import FIRST_AT_RANDOM, ROUND, Search, run_rounds
from ensembles.splits import family_folds
from ensembles.trial import Rows

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


def test_a_search_that_was_killed_after_any_line_of_its_journal_ends_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    questions = np.repeat(np.arange(20), 2)
    y = np.tile([1, 0], 20)
    X = rng.normal(size=(40, 2)) + y[:, None]
    folds = family_folds(questions, n_folds=2, seed=0)
    search = Search(
        member="decision_tree",
        rows=Rows(y=y, questions=questions, groups=questions),
        folds=encode_folds(X, y, groups=questions, folds=folds),
        n_trials=ROUND + FIRST_AT_RANDOM,
        seed=0,
        storage=tmp_path / "whole.journal",
        study_name="s",
        store=OofStore(),
    )

    def ended(storage: Path) -> list[tuple[object, ...]]:
        run_rounds(replace(search, storage=storage), n_jobs=1)
        trials = optuna.load_study(study_name="s", storage=open_journal(storage)).trials
        return [(trial.state, trial.params, trial.value, trial.intermediate_values) for trial in trials]

    undisturbed = ended(tmp_path / "whole.journal")
    lines = (tmp_path / "whole.journal").read_text().splitlines(keepends=True)
    assert len(lines) > 50
    for n_lines in range(len(lines)):
        killed = tmp_path / f"{n_lines}.journal"
        killed.write_text("".join(lines[:n_lines]))
        assert ended(killed) == undisturbed, f"killed after line {n_lines}: {lines[n_lines - 1]}"


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
