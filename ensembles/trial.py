"""One trial of a tuning: a member with given parameters, judged on every fold. Pure: no study is known here.

So a trial can run anywhere: in a thread, in another process, on another host.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ensembles.choice import credit, question_log_loss, question_probabilities
from ensembles.oof import EncodedFold
from ensembles.registry import Make


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rows:
    """What the folds are folds of, each (n_rows,)."""

    y: NDArray[Any]
    questions: NDArray[Any]
    groups: NDArray[Any]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Judged:
    """What became of one set of parameters."""

    running: tuple[float, ...]
    """Mean log-loss per question after each fold; shorter than the folds if the trial was stopped."""
    prob: NDArray[np.float64] | None = None
    """(n_rows,) out-of-fold probabilities, NaN where no fold judges; None if stopped or failed."""
    accuracy: float | None = None
    error: str | None = None
    """Why a fit raised."""
    seconds: float = 0.0


def judge(
    make: Make,
    params: Mapping[str, Any],
    *,
    rows: Rows,
    folds: Sequence[EncodedFold],
    limits: Sequence[float] = (),
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
    limits : sequence of float
        Per fold, the running log-loss above which there is no point in going on; empty for none. Nothing is
        stopped at the last fold.
    seed : int
    n_jobs : int
        Threads of a fit.
    """
    begun = perf_counter()
    losses: list[float] = []
    credits: list[float] = []
    running: list[float] = []
    oof = np.full(len(rows.y), np.nan)
    for step, fold in enumerate(folds):
        held = rows.questions[fold.held_out]
        try:
            estimator = make(params, seed=seed, n_jobs=n_jobs)
            estimator.fit(
                fold.X_train,
                rows.y[fold.train],
                groups=rows.groups[fold.train],
                questions=rows.questions[fold.train],
            )
            score = estimator.predict_proba(fold.X_held_out, questions=held)[:, 1]
            prob = question_probabilities(score, held)
        except (ValueError, FloatingPointError) as error:
            told = f"{type(error).__name__}: {error}"
            return Judged(running=tuple(running), error=told, seconds=perf_counter() - begun)
        losses += question_log_loss(prob, held, rows.y[fold.held_out]).tolist()
        credits += credit(prob, held, rows.y[fold.held_out]).tolist()
        oof[fold.held_out] = score
        running.append(float(np.mean(losses)))
        if step < len(folds) - 1 and limits and running[-1] > limits[step]:
            return Judged(running=tuple(running), seconds=perf_counter() - begun)
    return Judged(
        running=tuple(running),
        prob=oof,
        accuracy=float(np.mean(credits)),
        seconds=perf_counter() - begun,
    )
