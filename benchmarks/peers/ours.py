"""Our ensembles under a time budget, by public functions of `ensembles`.

Every member is tuned, refitted on all rows, and joined with the others by `ensembles.level_one.LevelOne` on
the out-of-fold predictions that tuning kept. Folds of a grouped task keep its groups whole, those of another
hold each class in equal shares.

Option rows: the encoder learns again in every fold, within the budget, since a matrix that was encoded once
carries the answers of a fold's held-out rows, as memory of right answers, into its training rows.
`ours_encoded_once` does without, on the one matrix that the peers get, and shows what that costs.

Members come cheapest first and each gets an equal share of the time that is left, so that a small budget ends
with fewer members or fewer trials, never with none.
"""

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tasks import Task
from threadpoolctl import threadpool_limits

from ensembles.choice import classes_as_options
from ensembles.level_one import LevelOne
from ensembles.oof import encode_folds
from ensembles.registry import MEMBERS
from ensembles.splits import class_folds, family_folds
from ensembles.tuning import tune

N_FOLDS = 5
ROW_MEMBERS = ("linear", "neighbours", "lightgbm", "xgboost", "extra_trees", "random_forest")
"""Cheapest first."""
OPTION_MEMBERS = (
    "linear", "conditional_logit", "neighbours", "lightgbm", "lightgbm_ranker", "xgboost", "extra_trees",
    "random_forest",
)  # fmt: skip
"""With those that know questions."""
TUNING_SHARE = 0.8
"""Of a member's share of the time; the rest is for its fit on all rows."""
JOINING_SHARE = 0.06
"""Of the budget, kept for joining the members."""
GROWTH = 4
"""How many times as dear as the member before it a member may be: it is begun if there is time for that."""
N_TRIALS = 1000
"""More than any budget allows: the clock ends the tuning."""


def ours(task: Task, budget_s: float, seed: int, n_threads: int) -> NDArray[np.float64]:
    """Return the probabilities of the test rows, (n_test_rows, n_classes)."""
    deadline = perf_counter() + budget_s * (1 - JOINING_SHARE)
    if not task.grouped:
        return _predict(task, task.X_train, None, deadline, seed=seed, n_threads=n_threads)
    from studies.design import DesignEncoder

    assert task.encoder is not None, "grouped tasks tell their encoder"
    raw, encoder = pd.read_parquet(task.raw_train), DesignEncoder(**task.encoder)
    return _predict(task, raw, encoder, deadline, seed=seed, n_threads=n_threads)


def ours_encoded_once(task: Task, budget_s: float, seed: int, n_threads: int) -> NDArray[np.float64]:
    """Return the probabilities of a grouped task's test rows, from the matrix that the peers get."""
    deadline = perf_counter() + budget_s * (1 - JOINING_SHARE)
    return _predict(task, task.X_train, None, deadline, seed=seed, n_threads=n_threads)


def _predict(
    task: Task, rows: Any, encoder: Any, deadline: float, *, seed: int, n_threads: int
) -> NDArray[np.float64]:
    y, groups = task.y_train, task.groups_train
    ids, new_ids = (task.questions_train, task.questions_test) if task.grouped else (None, None)
    if task.grouped:
        splits = family_folds(groups, n_folds=N_FOLDS, seed=seed)
    else:
        splits = class_folds(y, n_folds=N_FOLDS, seed=seed)
    oof: dict[str, NDArray[np.float64]] = {}
    test: dict[str, NDArray[np.float64]] = {}
    last_s = 0.0
    # A trial is one thread; BLAS threads of two trials would only stand in each other's way.
    with threadpool_limits(1, user_api="blas"):
        folds = encode_folds(rows, y, groups=groups, folds=splits, encoder=encoder)
        names = OPTION_MEMBERS if task.grouped else ROW_MEMBERS
        for place, name in enumerate(names):
            begun = perf_counter()
            if begun + GROWTH * last_s > deadline:
                break
            share_s = (deadline - begun) / (len(names) - place)
            with tempfile.TemporaryDirectory() as folder:
                tuned = tune(
                    name, rows, y, questions=ids, groups=groups, folds=folds, n_trials=N_TRIALS, seed=seed,
                    storage=Path(folder) / "journal", n_jobs=n_threads, timeout_s=share_s * TUNING_SHARE,
                )  # fmt: skip
            model = MEMBERS[name].make(tuned.params, seed=seed, n_jobs=n_threads)
            fitted = perf_counter()
            model.fit(task.X_train, y, groups=groups, questions=ids)
            prob = model.predict_proba(task.X_test, questions=new_ids)
            oof[name], test[name] = tuned.oof_prob.ravel(), (prob[:, 1] if task.grouped else prob).ravel()
            # What this member takes at least: one trial in all folds, and its fit.
            last_s = tuned.oof_fit_s + perf_counter() - fitted
            print(f"{name}: {tuned.n_trials} trials, log-loss {tuned.inner_log_loss:.4f}", flush=True)
        if not task.grouped:
            groups = np.repeat(groups, task.n_classes)
            ids, y = classes_as_options(y, task.n_classes)
            new_ids, _ = classes_as_options(task.y_test, task.n_classes)
        joined = LevelOne(probs=list(oof), seed=seed)
        joined.fit(pd.DataFrame(oof), y, questions=ids, groups=groups)
        print(f"weights: {joined.weights_}", flush=True)
        found = joined.predict_proba(pd.DataFrame(test), questions=new_ids)
    return found if task.grouped else found[:, 1].reshape(-1, task.n_classes)


OURS = {"ours": ours, "ours_encoded_once": ours_encoded_once}
