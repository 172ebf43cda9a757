"""A search: one Optuna study of one member, whose trials are proposed in rounds.

Trials of a round are proposed together, each by a sampler seeded by (seed, trial number) that knows the
rounds before, and a trial whose running mean is above the median of those rounds at the same fold stops
there. So a number of trials gives one study, however many workers execute a round, and a study that was
killed goes on with the trials that it had proposed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import time
from typing import Any, Literal

import numpy as np
from joblib import Parallel, delayed

from ensembles.journal import open_journal
from ensembles.oof import EncodedFold
from ensembles.oof_store import OofStore
from ensembles.registry import Member, find_member
from ensembles.trial import Judged, Pace, Rows, judge

ROUND = 4
"""Trials proposed at a time."""
FIRST_AT_RANDOM = 5
"""Trials before the sampler models the scores, and complete trials before any is stopped early."""
LOST = "lost"
"""Attribute of a failed trial whose worker vanished; it is not counted, another one stands in its place."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Search:
    """What every process needs that runs trials of one study."""

    member: str
    """Key of `ensembles.registry.MEMBERS`."""
    rows: Rows
    folds: Sequence[EncodedFold]
    n_trials: int
    seed: int
    storage: Path | str
    """Journal file, or URL of a database."""
    study_name: str
    store: OofStore
    """Where the predictions of every complete trial are kept."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that are not searched."""
    sampler: Literal["tpe", "random"] = "tpe"
    """What proposes: a model of the scores so far, or chance. Both begin with the same draws."""

    def whole(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a trial drew, beside the defaults and what is fixed."""
        return {**self.kind.defaults, **params, **self.fixed}

    @property
    def kind(self) -> Member:
        """The member."""
        return find_member(self.member)


def run_rounds(
    search: Search, *, n_jobs: int, deadline: float | None = None, progress: Progress | None = None
) -> None:
    """Run the trials of a study that have not ended, a round at a time.

    Parameters
    ----------
    search : Search
    n_jobs : int
        Trials of a round that run at the same time, each on one thread.
    deadline : float, optional
        Reading of `time.time` after which no fold should end; the defaults are judged all the same.
    progress : callable, optional
        Called with (trials done, trials in all).
    """
    study, longest, pace = open_study(search), 0.0, Pace()
    while (n_done := n_finished(study)) < search.n_trials:
        first = n_done - n_done % ROUND
        if deadline is not None and first and time() + longest > deadline:
            return
        begun = time()
        proposed = _propose(study, search, range(first, min(first + ROUND, search.n_trials)))
        limits = limits_of(study, before=first, n_folds=len(search.folds))
        judged = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(judge_one)(
                search, params, limits=limits, deadline=deadline if trial.number else None, pace=pace
            )
            for trial, params in proposed
        )
        for (trial, _), found in zip(proposed, judged, strict=True):
            tell(study, trial, found)
        if any(found.out_of_time for found in judged):
            return
        longest = max(longest, time() - begun)
        if progress is not None:
            progress(n_finished(study), search.n_trials)


def judge_one(
    search: Search,
    params: Mapping[str, Any],
    *,
    limits: Sequence[float] = (),
    deadline: float | None = None,
    pace: Pace | None = None,
    n_jobs: int = 1,
) -> Judged:
    """Return what `ensembles.trial.judge` says of parameters on the folds of a search."""
    return judge(
        search.kind.make,
        search.whole(params),
        rows=search.rows,
        folds=search.folds,
        predict=search.store.predict_fold,
        limits=limits,
        deadline=deadline,
        pace=pace,
        seed=search.seed,
        n_jobs=n_jobs,
    )


def open_study(search: Search) -> Any:
    """Create or load a study; a new one is told what it measures, and that the defaults come first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=search.study_name,
        storage=open_storage(search.storage),
        direction="minimize",
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False):
        told = {
            "metric": "log-loss per question",
            "seed": search.seed,
            "folds": len(search.folds),
            "optuna": optuna.__version__,
            "sampler": type(sampler_of(search, 0)).__name__,
            "pruner": "median of the running means of earlier rounds, per fold",
        }
        for key, value in told.items():
            study.set_user_attr(key, value)
        names = set(search.kind.suggest(_Names()))
        defaults = search.kind.defaults
        study.enqueue_trial({key: value for key, value in defaults.items() if key in names})
    return study


def open_storage(storage: Path | str) -> Any:
    """Open a journal file, or the database of a URL.

    Raises
    ------
    ModuleNotFoundError
        If the database's driver is not installed.
    """
    if isinstance(storage, str):
        from optuna.storages import RDBStorage
        from sqlalchemy.pool import NullPool

        try:
            # A worker that is idle, or done, holds no connection.
            return RDBStorage(storage, engine_kwargs={"poolclass": NullPool})
        except ImportError as error:
            raise error.__cause__ or error from None  # Optuna's own does not name the driver
    return open_journal(storage)


def sampler_of(search: Search, number: int) -> Any:
    """Return the sampler of a trial."""
    from optuna.samplers import RandomSampler, TPESampler

    seed = search.seed * 100_003 + number
    if search.sampler == "random":
        return RandomSampler(seed=seed)
    return TPESampler(seed=seed, n_startup_trials=FIRST_AT_RANDOM)


def limits_of(study: Any, *, before: int | None, n_folds: int) -> list[float]:
    """Return, per fold, the median running log-loss of complete trials; empty if they are few.

    Parameters
    ----------
    study : optuna.Study
    before : int, optional
        Number below which trials count; all by default.
    n_folds : int
    """
    complete = [
        [trial.intermediate_values[step] for step in range(n_folds)]
        for trial in study.get_trials(deepcopy=False)[:before]
        if trial.state.name == "COMPLETE"
    ]
    return np.median(complete, axis=0).tolist() if len(complete) >= FIRST_AT_RANDOM else []


def tell(study: Any, trial: Any, found: Judged) -> None:
    """Write what became of a trial."""
    from optuna.trial import TrialState

    told = study._storage.get_trial(trial._trial_id).intermediate_values  # before it was killed
    for step, value in enumerate(found.running):
        if step not in told:
            trial.report(value, step)
    trial.set_user_attr("fit_s", found.fit_s)
    if found.error is not None:
        trial.set_user_attr("error", found.error)
        study.tell(trial, state=TrialState.FAIL)
    elif found.prob is None:
        trial.set_user_attr("stopped", "out of time" if found.out_of_time else "above the median")
        study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.set_user_attr("accuracy", found.accuracy)
        trial.set_user_attr("standard_error", found.standard_error)
        study.tell(trial, found.running[-1])


def n_finished(study: Any) -> int:
    """Return how many trials, counted from the first, have ended."""
    ended = [trial.state.is_finished() for trial in study.get_trials(deepcopy=False)]
    return ended.index(False) if False in ended else len(ended)


def _propose(study: Any, search: Search, numbers: Sequence[int]) -> list[tuple[Any, dict[str, Any]]]:
    """Return the trials of these numbers that have not ended, with their parameters, proposing new ones.

    Parameters are drawn at once, while the study's sampler is the one of the trial's own number.
    """
    from optuna.trial import Trial, TrialState

    proposed = []
    for number in numbers:
        study.sampler = sampler_of(search, number)
        known = study.get_trials(deepcopy=False)
        if number >= len(known) or known[number].state == TrialState.WAITING:
            trial = study.ask()
        elif known[number].state == TrialState.RUNNING:
            # Proposed by a process that was killed: it keeps its number and the parameters it had drawn.
            trial = Trial(study, known[number]._trial_id)
            _draw_again(trial, known[number])
        else:
            continue
        proposed.append((trial, search.kind.suggest(trial)))
    return proposed


def _draw_again(trial: Any, known: Any) -> None:
    """Bring the sampler to where it was when a trial had drawn some of its parameters, but not all."""
    fixed = known.system_attrs.get("fixed_params", {})
    for name, drawn_from in known.distributions.items():
        if name not in fixed and not drawn_from.single() and name not in trial.relative_params:
            trial.study.sampler.sample_independent(trial.study, known, name, drawn_from)


class _Names:
    """A trial that draws nothing: what a space asks of it are the names of its parameters."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return low
