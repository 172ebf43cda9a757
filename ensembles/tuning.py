"""Tuning of one member with Optuna, on folds that keep families together.

What is minimised is the log-loss per question, after the options' scores are made probabilities. Trial 0 is
the defaults, so that the gain of tuning is in the study itself. Trials are proposed in rounds of `ROUND`,
each by a sampler seeded by (seed, trial number) that knows the rounds before; a trial whose running mean is
above the median of those rounds at the same fold stops there. So a number of trials gives one study,
however many workers execute a round, and a study that was killed goes on with the trials that it had
proposed. One whose fit raises is kept as failed, with its error. The out-of-fold predictions of the best
trial are handed on, so that a stack need not fit them again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray

from ensembles.oof import EncodedFold, check_rows, encode_folds
from ensembles.registry import Member, find_member
from ensembles.splits import Fold
from ensembles.trial import Judged, Rows, judge

ROUND = 4
"""Trials proposed at a time."""
FIRST_AT_RANDOM = 5
"""Trials before the sampler models the scores, and complete trials before any is stopped early."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """Outcome of a study."""

    params: Mapping[str, Any]
    """Of the best complete trial."""
    inner_log_loss: float
    """Mean per question over the folds; optimistic, since it was chosen for being small."""
    inner_accuracy: float
    default_inner_log_loss: float | None
    """None where the defaults could not be fitted."""
    n_trials: int
    n_pruned: int
    n_failed: int
    study_name: str
    oof_prob: NDArray[np.float64]
    """(n_rows,): what the best trial's models say of the rows they did not see; NaN where no fold judges."""
    oof_fit_s: float
    """Seconds of those fits."""


def tune(
    member: str,
    X: Any,
    y: ArrayLike,
    *,
    questions: ArrayLike,
    groups: ArrayLike,
    folds: Sequence[Fold] | Sequence[EncodedFold],
    n_trials: int,
    seed: int,
    storage: Path,
    encoder: Any = None,
    n_jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
    timeout_s: float | None = None,
) -> Tuned:
    """Search the space of a member; trials already in the journal are not done again.

    Parameters
    ----------
    member : str
        Key of `ensembles.registry.MEMBERS`.
    X, y, questions, groups
        Rows; see `ensembles.oof.check_rows`.
    folds : sequence
        Of `ensembles.splits.family_folds`, or encoded already.
    n_trials : int
        Trials in all, earlier ones counted in.
    seed : int
    storage : Path
        Journal file, made if it is not there.
    encoder : transformer, optional
        See `ensembles.oof.encode_folds`.
    n_jobs : int
        Trials of a round that run at the same time, each on one thread; by joblib, in threads unless
        ``joblib.parallel_config`` says otherwise (``backend="dask"`` for several hosts). The study does
        not depend on it.
    progress : callable, optional
        Called with (trials done, trials in all).
    timeout_s : float, optional
        No round is begun that, at the pace so far, would end after so many seconds; such a study is not
        reproducible.

    Raises
    ------
    ValueError
        If the member is unknown, ``n_trials`` is below 1, the rows are no multiple-choice problem, or no
        trial could be fitted.

    Notes
    -----
    Median pruning as in Golovin et al. (2017).
    """
    kind = find_member(member)
    if n_trials < 1:
        raise ValueError(f"got {n_trials} trials, expected 1 or more")
    check_rows(y, questions=questions, groups=groups)
    begun = perf_counter()
    rows = Rows(y=np.asarray(y), questions=np.asarray(questions), groups=np.asarray(groups))

    @cache
    def encoded() -> list[EncodedFold]:
        done = [fold for fold in folds if isinstance(fold, EncodedFold)]
        raw = [fold for fold in folds if not isinstance(fold, EncodedFold)]
        return done or encode_folds(X, y, groups=groups, folds=raw, encoder=encoder)

    def run(drawn: Sequence[dict[str, Any]], limits: Sequence[float]) -> list[Judged]:
        do = partial(judge, kind.make, rows=rows, folds=encoded(), limits=limits, seed=seed)
        return list(Parallel(n_jobs=n_jobs, prefer="threads")(delayed(do)(params) for params in drawn))

    best: Judged | None = None
    study = _open_study(_journal(storage), kind, member, seed=seed, n_folds=len(folds))
    n_done = _n_finished(study)
    while n_done < n_trials:
        spent = perf_counter() - begun
        first = n_done - n_done % ROUND
        rounds = first // ROUND
        if timeout_s is not None and rounds and spent * (1 + 1 / rounds) > timeout_s:
            break
        proposed = _propose(study, kind, range(first, min(first + ROUND, n_trials)), seed=seed)
        limits = _limits(study, before=first, n_folds=len(folds))
        judged = run([params for _, params in proposed], limits)
        for (trial, _), found in zip(proposed, judged, strict=True):
            _tell(study, trial, found)
            if found.prob is not None and (best is None or found.running[-1] < best.running[-1]):
                best = found
        n_done = _n_finished(study)
        if progress is not None:
            progress(n_done, n_trials)
    ended = study.get_trials(deepcopy=False)[:n_done]
    states = [trial.state.name for trial in ended]
    if "COMPLETE" not in states:
        told = next((t.user_attrs["error"] for t in reversed(ended) if "error" in t.user_attrs), "none")
        raise ValueError(f"no trial of {member} could be fitted; the last error: {told}")
    chosen, defaults = study.best_trial, ended[0]
    if best is None or best.running[-1] > study.best_value:
        # The best trial is one of an earlier process.
        best = judge(kind.make, chosen.params, rows=rows, folds=encoded(), seed=seed, n_jobs=n_jobs)
    assert best.prob is not None, "what was fitted once is fitted again"
    return Tuned(
        params={**kind.defaults, **chosen.params},
        inner_log_loss=float(study.best_value),
        inner_accuracy=float(chosen.user_attrs["accuracy"]),
        default_inner_log_loss=None if defaults.value is None else float(defaults.value),
        n_trials=len(ended),
        n_pruned=states.count("PRUNED"),
        n_failed=states.count("FAIL"),
        study_name=study.study_name,
        oof_prob=best.prob,
        oof_fit_s=best.seconds,
    )


def _journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def _open_study(storage: Any, kind: Member, name: str, *, seed: int, n_folds: int) -> Any:
    """Create or load a study; a new one is told what it measures, and that the defaults come first."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(study_name=name, storage=storage, direction="minimize", load_if_exists=True)
    if not study.get_trials(deepcopy=False):
        told = {
            "metric": "log-loss per question",
            "seed": seed,
            "folds": n_folds,
            "optuna": optuna.__version__,
        }
        for key, value in told.items():
            study.set_user_attr(key, value)
        names = set(kind.suggest(_Names()))
        study.enqueue_trial({key: value for key, value in kind.defaults.items() if key in names})
    return study


def _propose(
    study: Any, kind: Member, numbers: Sequence[int], *, seed: int
) -> list[tuple[Any, dict[str, Any]]]:
    """Return the trials of these numbers that have not ended, with their parameters, proposing new ones.

    Parameters are drawn at once, while the study's sampler is the one of the trial's own number.
    """
    import optuna

    proposed = []
    for number in numbers:
        study.sampler = optuna.samplers.TPESampler(
            seed=seed * 100_003 + number, n_startup_trials=FIRST_AT_RANDOM
        )
        known = study.get_trials(deepcopy=False)
        if number >= len(known) or known[number].state == optuna.trial.TrialState.WAITING:
            trial = study.ask()
        elif known[number].state == optuna.trial.TrialState.RUNNING:
            # Proposed by a process that was killed: it keeps its number and the parameters it had drawn.
            trial = optuna.trial.Trial(study, known[number]._trial_id)
        else:
            continue
        proposed.append((trial, kind.suggest(trial)))
    return proposed


def _limits(study: Any, *, before: int, n_folds: int) -> list[float]:
    """Return, per fold, the median running log-loss of the complete trials below a number; empty if few."""
    complete = [
        [trial.intermediate_values[step] for step in range(n_folds)]
        for trial in study.get_trials(deepcopy=False)[:before]
        if trial.state.name == "COMPLETE"
    ]
    return np.median(complete, axis=0).tolist() if len(complete) >= FIRST_AT_RANDOM else []


def _tell(study: Any, trial: Any, found: Judged) -> None:
    from optuna.trial import TrialState

    for step, value in enumerate(found.running):
        trial.report(value, step)
    trial.set_user_attr("fit_s", found.seconds)
    if found.error is not None:
        trial.set_user_attr("error", found.error)
        study.tell(trial, state=TrialState.FAIL)
    elif found.prob is None:
        study.tell(trial, state=TrialState.PRUNED)
    else:
        trial.set_user_attr("accuracy", found.accuracy)
        study.tell(trial, found.running[-1])


def _n_finished(study: Any) -> int:
    """Return how many trials, counted from the first, have ended."""
    ended = [trial.state.is_finished() for trial in study.get_trials(deepcopy=False)]
    return ended.index(False) if False in ended else len(ended)


class _Names:
    """A trial that draws nothing: what a space asks of it are the names of its parameters."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return low
