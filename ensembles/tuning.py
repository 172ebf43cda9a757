"""Tuning of one member with Optuna, on folds that keep families together.

What is minimised is the log-loss per question, after the options' scores are made probabilities; of rows that
are no options, that per row. Trial 0 is
the defaults, so that the gain of tuning is in the study itself. Trials run in reproducible rounds
(`ensembles.search`), or shared among all processes that join (`ensembles.workers`). One whose fit raises is
kept as failed, with its error. The out-of-fold predictions of the best trial are handed on, so that a stack
need not fit them again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import assert_all_finite, check_consistent_length

from ensembles.oof import EncodedFold, check_rows, encode_folds
from ensembles.oof_store import OofStore
from ensembles.registry import find_member
from ensembles.search import Progress, Search, judge_one, open_study, run_rounds
from ensembles.splits import Fold
from ensembles.trial import Rows
from ensembles.workers import counted, is_lost, run_shared, save_search

EDGE = 0.05
"""Share of a parameter's range, on the scale it is drawn on, that counts as its edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AtEdge:
    """A parameter of the best trial that lies at the edge of its range: a better value may lie beyond."""

    name: str
    value: float
    low: float
    high: float
    side: str
    """low or high"""


@dataclass(frozen=True, kw_only=True, slots=True)
class OneStandardError:
    """The simplest of the trials that are within one standard error of the best (Breiman et al. 1984)."""

    trial: int
    params: Mapping[str, Any]
    inner_log_loss: float
    n_within: int
    """Complete trials that are within one standard error, the best one counted in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """Outcome of a study."""

    params: Mapping[str, Any]
    """Of the best complete trial."""
    inner_log_loss: float
    """Mean per question over the folds; optimistic, since it was chosen for being small."""
    standard_error: float
    """Of that mean, with questions clustered by family."""
    inner_accuracy: float
    default_inner_log_loss: float | None
    """None where the defaults could not be fitted."""
    one_standard_error: OneStandardError
    at_edge: tuple[AtEdge, ...]
    n_trials: int
    n_pruned: int
    n_failed: int
    n_lost: int
    """Trials whose worker vanished; each was run again as another."""
    reproducible: bool
    """False under a time budget or with workers that join freely: what is proposed depends on the clock."""
    study_name: str
    oof_prob: NDArray[np.float64]
    """What the best trial's models say of the rows they did not see: (n_rows,), or without questions (n_rows,
    n_classes); NaN where no fold judges."""
    oof_fit_s: float
    """Seconds of those fits."""


def tune(
    member: str,
    X: Any,
    y: ArrayLike,
    *,
    questions: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    folds: Sequence[Fold] | Sequence[EncodedFold],
    n_trials: int,
    seed: int,
    storage: Path | str,
    encoder: Any = None,
    fixed: Mapping[str, Any] | None = None,
    store: OofStore | None = None,
    share: Path | None = None,
    study_name: str | None = None,
    n_jobs: int = 1,
    progress: Progress | None = None,
    timeout_s: float | None = None,
) -> Tuned:
    """Search the space of a member; trials already in the storage are not done again.

    Parameters
    ----------
    member : str
        Key of `ensembles.registry.MEMBERS`.
    X : array or DataFrame, shape (n_rows, n_columns)
    y : array, shape (n_rows,)
        1 where the option is right, else 0; without questions the class of each row, of any two or more.
    questions : array of int, shape (n_rows,), optional
        Question that a row is an option of.
    groups : array of int, shape (n_rows,), optional
        Families; without them each question, or row, is its own.
    folds : sequence
        Of `ensembles.splits.family_folds` or `class_folds`, or encoded already.
    n_trials : int
        Trials in all, earlier ones counted in.
    seed : int
    storage : Path or str
        Journal file, made if it is not there, or URL of a database that Optuna can use.
    encoder : transformer, optional
        See `ensembles.oof.encode_fold`.
    fixed : mapping, optional
        Parameters that are not searched, e.g. ``{"device": "cuda"}`` for members of XGBoost.
    store : OofStore, optional
        Keeps the predictions of every complete trial; in memory by default.
    share : Path, optional
        Folder that workers on other hosts see too: the search is written there (`ensembles.workers`), and
        whoever joins runs trials of it. Without one the trials are those of this process, in rounds.
    study_name : str, optional
        The member's name by default; in a storage that several runs use it has to be a name of its own.
    n_jobs : int
        Trials of a round that run at the same time, each on one thread; by joblib, in threads unless
        ``joblib.parallel_config`` says otherwise. The study does not depend on it. Of a shared search:
        threads of a fit.
    progress : callable, optional
        Called with (trials done, trials in all).
    timeout_s : float, optional
        No fold is begun that, at the pace so far, would end after so many seconds; the defaults are judged
        all the same.

    Raises
    ------
    ValueError
        If the member is unknown, ``n_trials`` is below 1, the rows are no multiple-choice problem or of one
        class, or no trial could be fitted.

    Notes
    -----
    Median pruning as in Golovin et al. (2017).
    """
    find_member(member)
    if n_trials < 1:
        raise ValueError(f"got {n_trials} trials, expected 1 or more")
    rows = _rows(y, questions, groups)
    if any(not isinstance(fold, EncodedFold) for fold in folds):
        check_consistent_length(X, rows.y)
    deadline = None if timeout_s is None else time() + timeout_s
    done = [fold for fold in folds if isinstance(fold, EncodedFold)]
    raw = [fold for fold in folds if not isinstance(fold, EncodedFold)]
    search = Search(
        member=member,
        rows=rows,
        folds=done or encode_folds(X, rows.y, groups=rows.groups, folds=raw, encoder=encoder),
        n_trials=n_trials,
        seed=seed,
        storage=storage,
        study_name=study_name or member,
        store=store or OofStore(),
        fixed=fixed or {},
    )
    if share is None:
        run_rounds(search, n_jobs=n_jobs, deadline=deadline, progress=progress)
    else:
        # First the study and, in a new database, its tables: whoever reads the search opens them.
        open_study(search)
        save_search(search, share)
        run_shared(search, n_jobs=n_jobs, deadline=deadline, progress=progress)
    return _outcome(search, reproducible=share is None and timeout_s is None, n_jobs=n_jobs)


def at_edge(params: Mapping[str, Any], space: Mapping[str, Any]) -> list[AtEdge]:
    """Return the parameters that lie in the outer `EDGE` of their range, on the scale they are drawn on.

    Parameters
    ----------
    params : mapping
        What a trial drew.
    space : mapping
        Optuna's distribution of each; those without order, or of one value, have no edge.
    """
    found = []
    for name, drawn_from in space.items():
        low, high = getattr(drawn_from, "low", None), getattr(drawn_from, "high", None)
        if low is None or high is None or low == high:
            continue
        scale = math.log if drawn_from.log else float
        start, stop, value = scale(low), scale(high), scale(params[name])
        share = (value - start) / (stop - start)
        if min(share, 1 - share) <= EDGE:
            side = "low" if share < 0.5 else "high"
            found.append(AtEdge(name=name, value=params[name], low=low, high=high, side=side))
    return found


def _rows(y: ArrayLike, questions: ArrayLike | None, groups: ArrayLike | None) -> Rows:
    target = np.asarray(y)
    ids = None if questions is None else np.asarray(questions)
    own = np.arange(len(target)) if ids is None else ids
    families = own if groups is None else np.asarray(groups)
    if ids is not None:
        check_rows(target, questions=ids, groups=families)
        return Rows(y=target, questions=ids, groups=families)
    check_consistent_length(target, families)
    assert_all_finite(target, input_name="y")
    classes, labels = np.unique(target, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"got 1 class, {classes[0]!r}, expected two or more")
    return Rows(y=labels, questions=None, groups=families)


def _outcome(search: Search, *, reproducible: bool, n_jobs: int) -> Tuned:
    study = open_study(search)
    known = study.get_trials(deepcopy=False)
    ended = [trial for trial in counted(study) if trial.state.is_finished()]
    states = [trial.state.name for trial in ended]
    complete = [trial for trial in ended if trial.state.name == "COMPLETE"]
    if not complete:
        told = next((t.user_attrs["error"] for t in reversed(ended) if "error" in t.user_attrs), "none")
        raise ValueError(f"no trial of {search.member} could be fitted; the last error: {told}")
    best, defaults = min(complete, key=lambda trial: (trial.value, trial.number)), known[0]
    kept = judge_one(search, best.params, n_jobs=n_jobs)
    assert kept.prob is not None, "what was fitted once is fitted again"
    return Tuned(
        params=search.whole(best.params),
        inner_log_loss=float(best.value),
        standard_error=float(best.user_attrs["standard_error"]),
        inner_accuracy=float(best.user_attrs["accuracy"]),
        default_inner_log_loss=None if defaults.value is None else float(defaults.value),
        one_standard_error=_one_standard_error(search, complete, best),
        at_edge=tuple(at_edge(best.params, best.distributions)),
        n_trials=len(ended),
        n_pruned=states.count("PRUNED"),
        n_failed=states.count("FAIL"),
        n_lost=sum(is_lost(trial) for trial in known),
        reproducible=reproducible,
        study_name=study.study_name,
        oof_prob=kept.prob,
        oof_fit_s=kept.fit_s,
    )


def _one_standard_error(search: Search, complete: Sequence[Any], best: Any) -> OneStandardError:
    limit = best.value + best.user_attrs["standard_error"]
    within = [trial for trial in complete if trial is best or trial.value <= limit]
    simplest = min(within, key=lambda t: (search.kind.complexity(search.whole(t.params)), t.number))
    return OneStandardError(
        trial=simplest.number,
        params=search.whole(simplest.params),
        inner_log_loss=float(simplest.value),
        n_within=len(within),
    )
