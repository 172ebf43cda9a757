"""What every complete trial of a search lost on each question: the matrix that paired comparisons rest on.

Nothing is fitted that the search's store has kept. Left out: trials that were stopped early or failed, of
which some folds are not known.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from ensembles.search import Progress, Search, judge_one

CLOSE = 1e-5
"""Share by which the mean of a trial's losses may differ from its value: rounding explains no more."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TrialLosses:
    """Losses of complete trials on the questions, or rows, that the folds hold out."""

    numbers: tuple[int, ...]
    """Of the trials, ascending."""
    losses: NDArray[np.float64]
    """(n_trials, n_judged)"""
    families: NDArray[Any]
    """(n_judged,)"""

    @property
    def best(self) -> int:
        """Row of the least mean loss; of equal ones the first."""
        return int(self.losses.mean(axis=1).argmin())


def losses_of_trials(
    search: Search, trials: Sequence[Any], *, n_jobs: int = 1, progress: Progress | None = None
) -> TrialLosses:
    """Judge the complete trials of a search once more, from what its store has kept.

    Parameters
    ----------
    search : Search
        With the rows, folds, seed and store that the trials were judged with.
    trials : sequence of optuna.trial.FrozenTrial
        Those that are not complete are passed over.
    n_jobs : int
        Threads.
    progress : callable, optional
        Called with (trials read, trials in all).

    Raises
    ------
    ValueError
        If no trial is complete, or the losses do not come to the value that a trial was told: data, features
        or versions are then others than the trials saw.
    """
    complete = sorted((t for t in trials if t.state.name == "COMPLETE"), key=lambda t: t.number)
    if not complete:
        raise ValueError("got no complete trial, expected one or more")
    found = []
    read = Parallel(n_jobs=n_jobs, backend="threading", return_as="generator")(
        delayed(judge_one)(search, trial.params) for trial in complete
    )
    for trial, judged in zip(complete, read, strict=True):
        mean = None if judged.loss is None else float(judged.loss.mean())
        if mean is None or abs(mean - trial.value) > CLOSE * max(abs(trial.value), 1.0):
            raise ValueError(
                f"trial {trial.number} of {search.study_name} was told {trial.value:.6g} and comes to "
                f"{'no score' if mean is None else f'{mean:.6g}'} now: data, features or versions have "
                "changed since it ran"
            )
        found.append(judged)
        if progress is not None:
            progress(len(found), len(complete))
    return TrialLosses(
        numbers=tuple(trial.number for trial in complete),
        losses=np.stack([judged.loss for judged in found]),
        families=found[0].families,
    )
