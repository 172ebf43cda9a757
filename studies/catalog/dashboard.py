"""Starts optuna-dashboard (extra ``dashboard``), a live server, on the studies of a run or of anyone [edge].

A run has a journal per member and the dashboard reads one storage, so that the run's studies are copied into
one journal first; what is changed or deleted in the dashboard does not reach the run. A journal or
database that is no run's is served as it is. Left out: trials that a run adds while the server is up.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from ensembles.search import open_storage
from llava_core.errors import InputError
from studies.catalog.compared import journal_of, random_journal_of
from studies.catalog.tuning_report import tuned_members
from studies.progress import Progress

PROGRAM = "optuna-dashboard"


def find_dashboard() -> str:
    """Return the program, of this interpreter's environment or on PATH.

    Raises
    ------
    InputError
        If it is not installed.
    """
    beside = Path(sys.executable).parent / PROGRAM
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise InputError(f"{PROGRAM} is not installed: pip install 'llava-ensembles[dashboard]'")
    return found


def serve_run(run_path: Path, progress: Progress, *, port: int) -> int:
    """Serve a copy of all studies of a run, random searches too, until interrupted; return the exit code."""
    program = find_dashboard()
    journals = [run_path / journal_of(name) for name in tuned_members(run_path)]
    journals += [run_path / random_journal_of(name) for name in tuned_members(run_path)]
    with TemporaryDirectory(prefix="dashboard-") as folder:
        copy = Path(folder) / "studies.journal"
        copy_studies([file for file in journals if file.is_file()], copy, progress)
        progress.note("a copy of the run's studies is served; what is changed there does not reach the run")
        return _serve(program, str(copy), port=port)


def serve_studies(source: Path | str, *, port: int) -> int:
    """Serve the studies of a journal or database until interrupted; return the exit code."""
    return _serve(find_dashboard(), str(source), port=port)


def copy_studies(journals: Sequence[Path], out: Path, progress: Progress) -> None:
    """Copy the studies of several journals into one."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    to, tick = open_storage(out), progress.stage("copy the studies")
    for place, journal in enumerate(journals):
        storage = open_storage(journal)
        for name in optuna.get_all_study_names(storage):
            optuna.copy_study(from_study_name=name, from_storage=storage, to_storage=to)
        tick(place + 1, len(journals))


def _serve(program: str, storage: str, *, port: int) -> int:
    try:
        return subprocess.run([program, storage, "--port", str(port)], check=False).returncode
    except KeyboardInterrupt:
        return 0
