"""Tuning of one member with Optuna, on folds that keep families together.

What is minimised is the log-loss per question, after the options' scores are made probabilities. Trial 0 is
the defaults, so that the gain of tuning is in the study itself. Each trial draws from a sampler seeded by
(seed, trial number): a study that is resumed proposes what the uninterrupted one would have. A trial whose
running mean is worse than the median of the earlier trials at the same fold stops there; one whose fit
raises is kept as failed, with its error. The out-of-fold predictions of the best trial are handed on, so
that a stack need not fit them again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.oof import EncodedFold, check_rows, encode_folds
from ensembles.registry import Member, find_member
from ensembles.splits import Fold


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
        Cores of a fit.
    progress : callable, optional
        Called with (trials done, trials in all).
    timeout_s : float, optional
        No trial is begun after so many seconds; such a study is not reproducible.

    Raises
    ------
    ValueError
        If the member is unknown, ``n_trials`` is below 1, the rows are no multiple-choice problem, or no
        trial could be fitted.

    Notes
    -----
    Median pruning as in Golovin et al. (2017), after five complete trials.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import TrialState

    kind = find_member(member)
    if n_trials < 1:
        raise ValueError(f"got {n_trials} trials, expected 1 or more")
    check_rows(y, questions=questions, groups=groups)
    begun = perf_counter()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=member,
        storage=JournalStorage(JournalFileBackend(str(storage))),
        direction="minimize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
        load_if_exists=True,
    )
    _prepare(study, kind, seed=seed, n_folds=len(folds))
    labels, ids, families = np.asarray(y), np.asarray(questions), np.asarray(groups)

    def judge(params: Mapping[str, Any]) -> Iterator[tuple[EncodedFold, NDArray[np.float64]]]:
        """Yield each fold with the probabilities of its held-out rows."""
        for fold in encoded():
            estimator = kind.make(params, seed=seed, n_jobs=n_jobs)
            estimator.fit(
                fold.X_train, labels[fold.train], groups=families[fold.train], questions=ids[fold.train]
            )
            yield fold, estimator.predict_proba(fold.X_held_out, questions=ids[fold.held_out])[:, 1]

    @cache
    def encoded() -> list[EncodedFold]:
        done = [fold for fold in folds if isinstance(fold, EncodedFold)]
        raw = [fold for fold in folds if not isinstance(fold, EncodedFold)]
        return done or encode_folds(X, y, groups=groups, folds=raw, encoder=encoder)

    finished = _finished(study)
    best: _Judged | None = None
    while len(finished) < n_trials:
        if timeout_s is not None and finished and perf_counter() - begun > timeout_s:
            break
        study.sampler = optuna.samplers.TPESampler(seed=seed * 100_003 + len(finished), n_startup_trials=5)
        trial = study.ask()
        params = kind.suggest(trial)
        try:
            found = _judge_trial(trial, judge(params), n_folds=len(folds), labels=labels, questions=ids)
        except (ValueError, FloatingPointError) as error:
            trial.set_user_attr("error", f"{type(error).__name__}: {error}")
            study.tell(trial, state=TrialState.FAIL)
        else:
            if found is None:
                study.tell(trial, state=TrialState.PRUNED)
            else:
                study.tell(trial, found.log_loss)
                best = found if best is None or found.log_loss < best.log_loss else best
        finished = _finished(study)
        if progress is not None:
            progress(len(finished), n_trials)
    states = [trial.state for trial in finished]
    if TrialState.COMPLETE not in states:
        told = next((t.user_attrs["error"] for t in reversed(finished) if "error" in t.user_attrs), "none")
        raise ValueError(f"no trial of {member} could be fitted; the last error: {told}")
    chosen, first = study.best_trial, finished[0]
    if best is None or best.log_loss > study.best_value:
        # The best trial is one of an earlier process.
        best = _judge_trial(None, judge(chosen.params), n_folds=len(folds), labels=labels, questions=ids)
        assert best is not None, "without a trial nothing is pruned"
    return Tuned(
        params={**kind.defaults, **chosen.params},
        inner_log_loss=float(study.best_value),
        inner_accuracy=float(chosen.user_attrs["accuracy"]),
        default_inner_log_loss=None if first.value is None else float(first.value),
        n_trials=len(finished),
        n_pruned=states.count(TrialState.PRUNED),
        n_failed=states.count(TrialState.FAIL),
        study_name=study.study_name,
        oof_prob=best.prob,
        oof_fit_s=best.seconds,
    )


def _prepare(study: Any, kind: Member, *, seed: int, n_folds: int) -> None:
    """Name the metric, queue the defaults first, and give up trials that a killed run left unfinished."""
    import optuna

    if not study.trials:
        study.set_user_attr("metric", "log-loss per question")
        study.set_user_attr("seed", seed)
        study.set_user_attr("folds", n_folds)
        study.set_user_attr("optuna", optuna.__version__)
    for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    if not waiting and not _finished(study):
        names = set(kind.suggest(_Names()))
        study.enqueue_trial({name: value for name, value in kind.defaults.items() if name in names})


def _finished(study: Any) -> list[Any]:
    """Return the trials that count: complete, pruned, and those whose fit raised."""
    from optuna.trial import TrialState

    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    return [trial for trial in ended if trial.state != TrialState.FAIL or "error" in trial.user_attrs]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Judged:
    """One set of parameters on all folds."""

    prob: NDArray[np.float64]
    log_loss: float
    seconds: float


def _judge_trial(
    trial: Any,
    judged: Iterator[tuple[EncodedFold, NDArray[np.float64]]],
    *,
    n_folds: int,
    labels: NDArray[Any],
    questions: NDArray[Any],
) -> _Judged | None:
    """Return what the folds say; None where the trial was stopped early."""
    losses: list[float] = []
    credits: list[float] = []
    oof, begun = np.full(len(labels), np.nan), perf_counter()
    for step, (fold, score) in enumerate(judged):
        held = questions[fold.held_out]
        prob = question_probabilities(score, held)
        losses += question_log_loss(prob, held, labels[fold.held_out]).tolist()
        credits += credit(prob, held, labels[fold.held_out]).tolist()
        oof[fold.held_out] = score
        if trial is not None:
            trial.report(float(np.mean(losses)), step)
            if step < n_folds - 1 and trial.should_prune():
                return None
    seconds = perf_counter() - begun
    if trial is not None:
        trial.set_user_attr("accuracy", float(np.mean(credits)))
        trial.set_user_attr("fit_s", seconds)
    return _Judged(prob=oof, log_loss=float(np.mean(losses)), seconds=seconds)


class _Names:
    """A trial that draws nothing: what a space asks of it are the names of its parameters."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return low
