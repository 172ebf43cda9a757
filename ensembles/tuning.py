"""Tuning of one member with Optuna, on folds that keep families together.

What is minimised is the log-loss per question, after the options' scores are made probabilities. Trial 0 is
the defaults, so that the gain of tuning is in the study itself. Each trial draws from a sampler seeded by
(seed, trial number): a study that is resumed proposes what the uninterrupted one would have. A trial whose
running mean is worse than the median of the earlier trials at the same fold stops there.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
    default_inner_log_loss: float
    n_trials: int
    n_pruned: int
    study_name: str


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
        If the member is unknown, ``n_trials`` is below 1 or the rows are no multiple-choice problem.

    Notes
    -----
    Median pruning as in Golovin et al. (2017), after five complete trials.
    """
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

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
    finished = _finished(study)
    encoded: list[EncodedFold] | None = None
    while len(finished) < n_trials:
        if timeout_s is not None and finished and perf_counter() - begun > timeout_s:
            break
        if encoded is None:
            encoded = [fold for fold in folds if isinstance(fold, EncodedFold)] or encode_folds(
                X,
                y,
                groups=groups,
                folds=[fold for fold in folds if not isinstance(fold, EncodedFold)],
                encoder=encoder,
            )
        study.sampler = optuna.samplers.TPESampler(seed=seed * 100_003 + len(finished), n_startup_trials=5)
        trial = study.ask()
        value = _objective(
            trial, kind, encoded, y, questions=questions, groups=groups, seed=seed, n_jobs=n_jobs
        )
        if value is None:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            study.tell(trial, value)
        finished = _finished(study)
        if progress is not None:
            progress(len(finished), n_trials)
    best, first = study.best_trial, finished[0]
    return Tuned(
        params={**kind.defaults, **best.params},
        inner_log_loss=float(study.best_value),
        inner_accuracy=float(best.user_attrs["accuracy"]),
        default_inner_log_loss=float(first.value),
        n_trials=len(finished),
        n_pruned=sum(trial.state == optuna.trial.TrialState.PRUNED for trial in finished),
        study_name=study.study_name,
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
    from optuna.trial import TrialState

    return list(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))


def _objective(
    trial: Any,
    kind: Member,
    folds: Sequence[EncodedFold],
    y: ArrayLike,
    *,
    questions: ArrayLike,
    groups: ArrayLike,
    seed: int,
    n_jobs: int,
) -> float | None:
    """Return the mean log-loss per question over the folds; None where the trial was stopped early."""
    labels, ids, families = np.asarray(y), np.asarray(questions), np.asarray(groups)
    params = kind.suggest(trial)
    losses: list[float] = []
    credits: list[float] = []
    begun = perf_counter()
    for step, fold in enumerate(folds):
        estimator = kind.make(params, seed=seed, n_jobs=n_jobs)
        estimator.fit(fold.X_train, labels[fold.train], groups=families[fold.train])
        prob = question_probabilities(estimator.predict_proba(fold.X_held_out)[:, 1], ids[fold.held_out])
        losses += question_log_loss(prob, ids[fold.held_out], labels[fold.held_out]).tolist()
        credits += credit(prob, ids[fold.held_out], labels[fold.held_out]).tolist()
        trial.report(float(np.mean(losses)), step)
        if step < len(folds) - 1 and trial.should_prune():
            return None
    trial.set_user_attr("accuracy", float(np.mean(credits)))
    trial.set_user_attr("fit_s", perf_counter() - begun)
    return float(np.mean(losses))


class _Names:
    """A trial that draws nothing: what a space asks of it are the names of its parameters."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return low
