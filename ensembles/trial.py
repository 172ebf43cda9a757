"""One trial of a tuning: a member with given parameters, judged on every fold. Pure: no study is known here.

So a trial can run anywhere: in a thread, in another process, on another host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.choice import classes_as_options, credit, question_log_loss, question_probabilities
from ensembles.oof import EncodedFold, PredictFold
from ensembles.registry import Make


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """What the folds are folds of, each (n_rows,)."""

    y: NDArray[Any]
    questions: NDArray[Any] | None
    """None where rows are no options; ``y`` is then one of 0, 1, ..."""
    groups: NDArray[Any]


@dataclass(slots=True)
class Pace:
    """How long a fold takes, as far as the trials of a search have seen."""

    slowest_s: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """What became of one set of parameters."""

    running: tuple[float, ...]
    """Mean log-loss per question after each fold; shorter than the folds if the trial was stopped."""
    prob: NDArray[np.float64] | None = None
    """Out-of-fold probabilities, (n_rows,) or without questions (n_rows, n_classes), NaN where no fold
    judges; None if stopped or failed."""
    loss: NDArray[np.float64] | None = None
    """Log-loss of each question, or row, in the order of the folds that judge them, (n_judged,)."""
    families: NDArray[Any] | None = None
    """Family of each of those, (n_judged,)."""
    accuracy: float | None = None
    standard_error: float | None = None
    """Of the mean log-loss, with questions clustered by family."""
    error: str | None = None
    """Why a fit raised."""
    out_of_time: bool = False
    """Whether it was stopped since the next fold would have ended after the deadline."""
    fit_s: float = 0.0
    """Seconds of its fits, those kept from before included."""


def judge(
    make: Make,
    params: Mapping[str, Any],
    *,
    rows: Rows,
    folds: Sequence[EncodedFold],
    predict: PredictFold,
    limits: Sequence[float] = (),
    deadline: float | None = None,
    pace: Pace | None = None,
    seed: int,
    n_jobs: int = 1,
) -> Judged:
    """Fit and score on each fold in turn; stop where the running mean is above that fold's limit.

    Parameters
    ----------
    make : callable
        Of `ensembles.registry.Member`.
    params : mapping
    rows : Rows
    folds : sequence of EncodedFold
    predict : callable
        `ensembles.oof.predict_fold`, or that of a store.
    limits : sequence of float
        Per fold, the running log-loss above which there is no point in going on; empty for none. Nothing is
        stopped at the last fold.
    deadline : float, optional
        Reading of `time.time` after which no fold should end; a fold is not begun that would, at
        the pace of the slowest so far.
    pace : Pace, optional
        Of the trials before; this one adds what it sees.
    seed : int
    n_jobs : int
        Threads of a fit.
    """
    losses: list[float] = []
    credits: list[float] = []
    families: list[int] = []
    running: list[float] = []
    oof: NDArray[np.float64] | None = None
    fit_s, pace = 0.0, pace or Pace()
    for step, fold in enumerate(folds):
        if deadline is not None and time() + pace.slowest_s > deadline:
            return Judged(running=tuple(running), out_of_time=True, fit_s=fit_s)
        try:
            estimator = make(params, seed=seed, n_jobs=n_jobs)
            found = predict(estimator, fold, y=rows.y, questions=rows.questions, groups=rows.groups)
            loss, right = _scores(found.prob, fold.held_out, rows)
        except (ValueError, FloatingPointError) as error:
            told = f"{type(error).__name__}: {error}"
            return Judged(running=tuple(running), error=told, fit_s=fit_s)
        losses += loss.tolist()
        credits += right.tolist()
        families += _families(fold.held_out, rows).tolist()
        if oof is None:
            oof = np.full((len(rows.y), *found.prob.shape[1:]), np.nan)
        oof[fold.held_out] = found.prob
        fit_s, pace.slowest_s = fit_s + found.fit_s, max(pace.slowest_s, found.fit_s)
        running.append(float(np.mean(losses)))
        if step < len(folds) - 1 and limits and running[-1] > limits[step]:
            return Judged(running=tuple(running), fit_s=fit_s)
    return Judged(
        running=tuple(running),
        prob=oof,
        loss=np.array(losses),
        families=np.array(families),
        accuracy=float(np.mean(credits)),
        standard_error=clustered_error(np.array(losses), np.array(families)),
        fit_s=fit_s,
    )


def _scores(
    prob: NDArray[np.float64], at: NDArray[np.intp], rows: Rows
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return log-loss and credit of each question, or row, that a fold holds out."""
    if rows.questions is not None:
        questions, y = rows.questions[at], rows.y[at]
    else:
        questions, y = classes_as_options(rows.y[at], prob.shape[1])
    share = question_probabilities(prob.ravel(), questions)
    return question_log_loss(share, questions, y), credit(share, questions, y)


def _families(at: NDArray[np.intp], rows: Rows) -> NDArray[Any]:
    """Return the family of each question, or row, in the order of `_scores`."""
    if rows.questions is None:
        return rows.groups[at]
    return rows.groups[at][np.unique(rows.questions[at], return_index=True)[1]]


def clustered_error(values: NDArray[np.float64], clusters: NDArray[Any]) -> float:
    """Return the standard error of the mean of values whose clusters, not they, are independent.

    References
    ----------
    Liang, K.-Y., Zeger, S. L. (1986). Longitudinal data analysis using generalized linear models. With one
    constant; the factor n / (n - 1) is of the clusters.
    """
    _, index = np.unique(clusters, return_inverse=True)
    sums = np.bincount(index, weights=values - values.mean())
    n_clusters = len(sums)
    if n_clusters < 2:
        return float("nan")
    return float(np.sqrt(n_clusters / (n_clusters - 1) * (sums**2).sum()) / len(values))
