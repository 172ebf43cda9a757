"""Workers: any number of processes, on any hosts, run the trials of one study between them [edge].

The trials are queued when the study is made, and a worker claims one by moving it from waiting to running,
which the storage lets one of them do. While it works it beats: it counts up an attribute of its trial. Who
has nothing to claim watches the others, and a trial whose count stands still for `PATIENCE_S` by the
watcher's own clock is failed as lost and queued again, so that no trial is lost and clocks need not agree. A
worker that was only slow finds its trial ended and drops what it found, so that none is told twice.

Claimed trials see whatever has ended by then, so such a study depends on who was fast: it is not
reproducible. Through files (`save_search`) a worker on another host gets rows and folds.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from os import getpid
from pathlib import Path
from socket import gethostname
from threading import Event, Thread
from time import monotonic, sleep, time
from typing import Any

import numpy as np

from ensembles.drafts import save_array, whole_file
from ensembles.oof import EncodedFold
from ensembles.oof_store import OofStore
from ensembles.search import (
    LOST,
    Progress,
    Search,
    judge_one,
    limits_of,
    open_storage,
    open_study,
    sampler_of,
    tell,
)
from ensembles.trial import Rows

BEAT_S = 2.0
PATIENCE_S = 20.0
CLOSED = "closed"
"""Attribute of a study that no worker is to join any more."""
BEAT = "beat"
"""Attribute of a trial that its worker counts up."""
WORKER = "worker"
"""Attribute of a trial: host and process id of who ran it."""


def run_shared(
    search: Search, *, n_jobs: int, deadline: float | None = None, progress: Progress | None = None
) -> None:
    """Queue the trials of a study and run them together with whoever joins; end when all have ended.

    Parameters
    ----------
    search : Search
    n_jobs : int
        Threads of a fit.
    deadline : float, optional
        Reading of `time.time` after which no trial is claimed or waited for.
    progress : callable, optional
        Called with (trials done, trials in all).
    """
    study = open_study(search)
    study.set_user_attr(CLOSED, False)
    while (missing := search.n_trials - len(counted(study))) > 0 or _open_trials(study):
        for _ in range(missing):
            study.enqueue_trial({})
        join(search, n_jobs=n_jobs, deadline=deadline, progress=progress)
        if deadline is not None and time() > deadline:
            break
    study.set_user_attr(CLOSED, True)


def join(
    search: Search,
    *,
    n_jobs: int = 1,
    deadline: float | None = None,
    progress: Progress | None = None,
) -> int:
    """Claim and run trials until none is waiting or running; return how many this process ran.

    Raises
    ------
    ValueError
        If the study is not in the storage.
    """
    study, n_run, others = _load(search), 0, _Watch()
    while not study.user_attrs.get(CLOSED) and (deadline is None or time() < deadline):
        trial = _claim(study, search)
        if trial is not None:
            with _beating(trial):
                limits = limits_of(study, before=None, n_folds=len(search.folds))
                found = judge_one(
                    search,
                    search.kind.suggest(trial),
                    limits=limits,
                    deadline=deadline if trial.number else None,
                    n_jobs=n_jobs,
                )
            n_run += _tell_unless_ended(study, trial, found)
        elif _open_trials(study):
            others.requeue_lost(study)
            sleep(BEAT_S / 4)
        else:
            break
        if progress is not None:
            progress(sum(t.state.is_finished() for t in counted(study)), search.n_trials)
    return n_run


def counted(study: Any) -> list[Any]:
    """Return the trials of a study that were not lost."""
    return [trial for trial in study.get_trials(deepcopy=False) if not is_lost(trial)]


def is_lost(trial: Any) -> bool:
    """Whether a trial's worker vanished; another trial stands in its place."""
    return trial.state.name == "FAIL" and LOST in trial.user_attrs


def save_search(search: Search, folder: Path) -> Path:
    """Write what a worker needs into a folder and return the file that it is given to `load_search`.

    Matrices of the same name in the folder are taken for the same: members that see the same folds share
    them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"y": search.rows.y, "groups": search.rows.groups}
    if search.rows.questions is not None:
        arrays["questions"] = search.rows.questions
    for place, fold in enumerate(search.folds):
        arrays |= {f"{name}{place}": getattr(fold, name) for name in EncodedFold.__slots__}
    for name, array in arrays.items():
        _write_array(folder / f"{name}.npy", array)
    told = {
        "member": search.member,
        "of_options": search.rows.questions is not None,
        "n_folds": len(search.folds),
        "n_trials": search.n_trials,
        "seed": search.seed,
        "storage": search.storage if isinstance(search.storage, str) else None,
        "journal": None if isinstance(search.storage, str) else str(search.storage.resolve()),
        "study_name": search.study_name,
        "store": None if search.store.path is None else str(search.store.path.resolve()),
        "fixed": dict(search.fixed),
        "sampler": search.sampler,
    }
    file = folder / f"{search.member}.json"
    with whole_file(file) as draft:
        draft.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return file


def load_search(file: Path, *, storage: Path | str | None = None) -> Search:
    """Read what `save_search` wrote, matrices memory-mapped.

    Parameters
    ----------
    file : Path
    storage : Path or str, optional
        In place of the one that the file names, e.g. where a host reaches the database by another name.

    Raises
    ------
    ValueError
        If a file is missing or broken.
    """
    try:
        told = json.loads(_regular(file).read_text(encoding="utf-8"))

        def array(name: str) -> Any:
            found = np.load(_regular(file.parent / f"{name}.npy"), mmap_mode="r", allow_pickle=False)
            if not isinstance(found, np.ndarray):
                raise ValueError(f"{name}.npy is no array")
            return found

        return Search(
            member=told["member"],
            rows=Rows(
                y=array("y"),
                questions=array("questions") if told["of_options"] else None,
                groups=array("groups"),
            ),
            folds=[
                EncodedFold(**{name: array(f"{name}{place}") for name in EncodedFold.__slots__})
                for place in range(told["n_folds"])
            ],
            n_trials=told["n_trials"],
            seed=told["seed"],
            storage=storage or told["storage"] or Path(told["journal"]),
            study_name=told["study_name"],
            store=OofStore(None if told["store"] is None else Path(told["store"])),
            fixed=told["fixed"],
            sampler=told["sampler"],
        )
    except Exception as error:  # numpy parses a header as Python
        raise ValueError(f"{file} holds no whole search: {error}") from error


def _regular(file: Path) -> Path:
    """Return the file unless it is a pipe or a device, which may never end."""
    if file.exists() and not file.is_file():
        raise ValueError(f"{file.name} is no file")
    return file


@dataclass(slots=True)
class _Watch:
    """Remembers since when, by this process's clock, the beat of each running trial stands still."""

    seen: dict[int, tuple[Any, float]] = field(default_factory=dict)

    def requeue_lost(self, study: Any) -> None:
        """Fail the trials whose workers have vanished, and queue others in their place."""
        for trial in study.get_trials(deepcopy=False):
            if trial.state.name != "RUNNING":
                continue
            beat = trial.user_attrs.get(BEAT)
            known, since = self.seen.get(trial.number, (None, 0.0))
            if trial.number not in self.seen or known != beat:
                self.seen[trial.number] = (beat, monotonic())
            elif monotonic() - since > PATIENCE_S:
                _requeue(study, trial)


def _requeue(study: Any, trial: Any) -> None:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    storage = study._storage
    try:
        storage.set_trial_user_attr(trial._trial_id, LOST, True)
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return  # Its worker, or another watcher, was faster.
    study.enqueue_trial(trial.params, user_attrs={"instead_of": trial.number})


def _load(search: Search) -> Any:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.load_study(study_name=search.study_name, storage=open_storage(search.storage))
    except KeyError:
        raise ValueError(f"the storage holds no study {search.study_name!r}") from None


def _claim(study: Any, search: Search) -> Any:
    """Return the first waiting trial that no other process took, or None."""
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import Trial, TrialState

    for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        try:
            taken = study._storage.set_trial_state_values(waiting._trial_id, TrialState.RUNNING)
        except UpdateFinishedTrialError:
            continue
        if taken:
            study.sampler = sampler_of(search, waiting.number)
            return Trial(study, waiting._trial_id)
    return None


def _open_trials(study: Any) -> bool:
    return any(not trial.state.is_finished() for trial in study.get_trials(deepcopy=False))


def _tell_unless_ended(study: Any, trial: Any, found: Any) -> bool:
    from optuna.exceptions import UpdateFinishedTrialError

    try:
        tell(study, trial, found)
    except (UpdateFinishedTrialError, ValueError) as error:
        if study.get_trials(deepcopy=False)[trial.number].state.is_finished():
            return False
        raise error
    return True


@contextmanager
def _beating(trial: Any) -> Iterator[None]:
    """Sign the trial and count up an attribute of it from a thread, as long as the context lasts."""
    from optuna.exceptions import UpdateFinishedTrialError

    done = Event()

    def beat() -> None:
        count = 0
        try:
            trial.set_user_attr(WORKER, f"{gethostname()}:{getpid()}")
            while not done.wait(BEAT_S):
                count += 1
                trial.set_user_attr(BEAT, count)
        except (UpdateFinishedTrialError, OSError):  # a full disk stops the trial itself, too
            return

    thread = Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _write_array(file: Path, array: Any) -> None:
    if file.is_file():
        return
    with whole_file(file) as draft:
        save_array(draft, array)
