"""Reading a task off a stage: settings chosen and a probe fitted on training items, judged on test items."""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ensembles.splits import family_folds
from studies.probing.family import ProbeFamily, Settings
from studies.probing.probes import fit_probe, prob_along, probe_family
from studies.probing.rows import Rows, as_rows, classes_of, credit_and_log_prob
from studies.probing.stage import Stage
from studies.probing.tasks import Items, Task

N_FOLDS = 3


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ReadOut:
    """What a probe said of the test items, in their order."""

    credit: NDArray[np.float64]
    """(n_test,) in [0, 1]; ties share."""
    log_prob: NDArray[np.float64]
    """(n_test,) natural log of the right label's probability, at least log(1e-6)."""
    chosen: Settings
    """Settings of the probe."""
    fit_s: float = field(repr=False)
    """Seconds of the fit with the chosen settings."""
    predict_s: float = field(repr=False)
    """Seconds for the test items."""
    size_bytes: int
    """Of what the probe learned: coefficients, training vectors, or trees."""


def read_out(
    probe: str,
    stage: Stage,
    task: Task,
    *,
    groups: ArrayLike,
    train: Items,
    test: Items,
    seed: int,
    n_jobs: int = 1,
    settings: Settings | None = None,
) -> ReadOut:
    """Learn a task from the vectors of training items, and judge it on those of test items.

    Parameters
    ----------
    probe : str
        A name in `PROBES`.
    stage : Stage
    task : ClassTask or ChoiceTask
        Of the same items as the stage.
    groups : (n_items,) array_like of int or str
        Family of each item; families stay whole in the folds that settings are chosen on.
    train, test : (n,) array of int
        Items; those without a vector are left out by the caller.
    seed : int
    n_jobs : int
        Threads; they change the cost only.
    settings : mapping, optional
        Of the probe, as for controls; by default the best of its grid (`choose`).

    Returns
    -------
    ReadOut

    Raises
    ------
    ValueError
        If there is no such probe, train or test is empty, or they share an item.
    """
    family = probe_family(probe)
    check_split(train, test)
    if settings is None:
        settings = choose(family, stage, task, groups=groups, train=train, seed=seed, n_jobs=n_jobs)
    classes = classes_of(stage, task)
    known, asked = (as_rows(stage.take(part), task.take(part), classes) for part in (train, test))
    started = time.perf_counter()
    fitted = fit_probe(
        family,
        known.X,
        known.target,
        n_classes=known.n_classes,
        settings=settings,
        seed=seed,
        n_jobs=n_jobs,
    )
    fit_s, started = time.perf_counter() - started, time.perf_counter()
    prob = fitted.prob(asked.X)
    predict_s = time.perf_counter() - started
    credit, log_prob = credit_and_log_prob(prob, asked, n_train=known.n_items)
    return ReadOut(
        credit=credit,
        log_prob=log_prob,
        chosen=settings,
        fit_s=fit_s,
        predict_s=predict_s,
        size_bytes=fitted.n_bytes,
    )


def choose(
    family: ProbeFamily,
    stage: Stage,
    task: Task,
    *,
    groups: ArrayLike,
    train: Items,
    seed: int,
    n_jobs: int = 1,
) -> Settings:
    """Return the settings of least log-loss on folds of the training items that keep families whole.

    Three folds, or as many as there are families; with one family the middle of the grid. Of equal losses
    the simpler settings win.
    """
    families = np.unique(np.asarray(groups)[train], return_inverse=True)[1]
    n_folds = min(N_FOLDS, int(families.max()) + 1)
    if n_folds < 2:
        return family.middle()
    classes = classes_of(stage, task)
    losses = np.zeros(len(family.grid))
    for inside, outside in family_folds(families, n_folds=n_folds, seed=seed):
        known, asked = (
            as_rows(stage.take(train[part]), task.take(train[part]), classes) for part in (inside, outside)
        )
        losses += _losses(family, known, asked, seed=seed, n_jobs=n_jobs)
    return family.grid[int(np.argmin(losses))]


def check_split(train: Items, test: Items) -> None:
    """Raise ValueError where there is nothing to learn from or judge, or an item is on both sides."""
    shared = np.intersect1d(train, test)
    if len(train) == 0 or len(test) == 0 or len(shared):
        raise ValueError(
            f"got {len(train)} training and {len(test)} test items, {len(shared)} of them on both sides; "
            "expected some on each side and none on both"
        )


def _losses(family: ProbeFamily, known: Rows, asked: Rows, *, seed: int, n_jobs: int) -> NDArray[np.float64]:
    """Return the summed log-loss of each of the settings, (n_settings,)."""
    each = prob_along(
        family,
        known.X,
        known.target,
        asked.X,
        n_classes=known.n_classes,
        grid=family.grid,
        seed=seed,
        n_jobs=n_jobs,
    )
    return np.array([-credit_and_log_prob(prob, asked, n_train=known.n_items)[1].sum() for prob in each])
