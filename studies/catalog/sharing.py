"""Tuning that processes share: where a run offers its searches, and what a worker does with them [edge].

A run with ``storage`` offers each search in ``tuning/MEMBER/`` of its folder (matrices, memory-mapped by
whoever reads them, and what the study is called), and says in ``tuning/done`` that none will follow. A worker
runs the trials of every search that is offered until then. The folder has to be seen by all hosts; the
studies stand in the run's journals, or in the database that a URL names.
"""

from pathlib import Path
from time import sleep

from ensembles.search import open_storage
from ensembles.workers import join, load_search
from llava_core.errors import InputError
from llava_core.keys import tells_secret
from studies.files import remove, write_text
from studies.progress import Progress
from studies.rundir import MANIFEST_FILE, SPEC_FILE
from studies.spec.base import from_json
from studies.spec.ensemble import JOURNAL, PASSWORD_IN_URL, EnsembleSpec

SEARCHES, DONE = "tuning", "done"
WAIT_S = 0.5


def check_storage(url: str) -> None:
    """Check that a database can be used and that its URL tells no password.

    Raises
    ------
    InputError
        If it cannot be opened, or its driver is not installed.
    """
    from sqlalchemy.exc import SQLAlchemyError

    if tells_secret(url):
        raise InputError(PASSWORD_IN_URL, field="storage")
    try:
        open_storage(url)
    except ModuleNotFoundError as error:
        raise InputError(
            f"the driver {error.name} is not installed; for PostgreSQL: pip install 'psycopg[binary]'",
            field="storage",
        ) from None
    except (SQLAlchemyError, RuntimeError) as error:
        raise InputError(f"got {url!r}, which cannot be opened: {error}", field="storage") from None


def end_of_searches(run_path: Path) -> None:
    """Say that no search will follow, and remove the matrices, which nobody needs any more."""
    folder = run_path / SEARCHES
    for search in folder.iterdir() if folder.is_dir() else ():
        remove(search)
    write_text(folder / DONE, "")


def work(run_path: Path, progress: Progress, *, storage: str | None = None, jobs: int = 1) -> int:
    """Run trials of every search that a run offers, until none will follow; return how many.

    Parameters
    ----------
    run_path : Path
        Folder of a run that shares its tuning; it may have begun or not.
    progress : Progress
    storage : str, optional
        URL by which this host reaches the run's database, where that differs.
    jobs : int
        Threads of a fit.

    Raises
    ------
    InputError
        If the folder holds no such run, or a file of a search is broken.
    """
    spec_file = run_path / SPEC_FILE
    if not spec_file.is_file():
        raise InputError("holds no run", path=run_path)
    spec = from_json(EnsembleSpec, spec_file.read_text(encoding="utf-8"), path=spec_file)
    if spec.storage is None:
        raise InputError(
            f"shares no tuning; allowed is a run with --set storage={JOURNAL}, or with a database's URL",
            path=run_path,
        )
    if storage is not None:
        check_storage(storage)
    n_run, left = 0, set[Path]()
    tick = progress.stage("wait for a search")
    while not ((run_path / SEARCHES / DONE).exists() or (run_path / MANIFEST_FILE).exists()):
        for file in sorted((run_path / SEARCHES).glob("*/*.json")):
            if file in left:
                continue
            tick = progress.stage(f"tune {file.stem}")
            try:
                n_run += join(load_search(file, storage=storage), n_jobs=jobs, progress=tick)
            except ValueError as error:
                # The run may have ended its search between our look and our reading.
                if file.exists():
                    raise InputError(str(error), path=file) from None
            left.add(file)
        sleep(WAIT_S)
    return n_run
