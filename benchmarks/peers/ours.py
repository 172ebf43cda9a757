"""Our ensembles under a time budget, by public functions of `ensembles`.

Grouped tasks: every member is tuned within folds that keep groups whole, refitted on all rows, and joined
with the others by `ensembles.level_one.LevelOne` on the out-of-fold predictions that tuning kept. The encoder
learns again in every fold, within the budget: a matrix that was encoded once carries the answers of a fold's
held-out rows, as memory of right answers, into its training rows. `ours_encoded_once` does without, on the
one matrix that the peers get, and shows what that costs.

Ungrouped tasks, of any number of classes: tuning knows option rows only, so members of the registry are
drawn from their own spaces, judged by out-of-fold log-loss in stratified folds, and the best are joined by
greedy selection; what is used of the project there is its members and its selection.

Members come cheapest first and each gets an equal share of the time that is left, so that a small budget ends
with fewer members or fewer trials, never with none.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tasks import Task
from threadpoolctl import threadpool_limits

from ensembles.greedy import select
from ensembles.level_one import LevelOne
from ensembles.oof import encode_folds
from ensembles.registry import MEMBERS
from ensembles.splits import family_folds
from ensembles.tuning import tune

N_FOLDS = 5
OPTION_MEMBERS = (
    "linear", "conditional_logit", "neighbours", "lightgbm", "lightgbm_ranker", "xgboost", "extra_trees",
    "random_forest",
)  # fmt: skip
"""Members of option rows, cheapest first."""
ROW_MEMBERS = ("linear", "neighbours", "lightgbm", "xgboost", "extra_trees", "random_forest")
"""Those of them that know no questions."""
TUNING_SHARE = 0.8
"""Of a member's share of the time; the rest is for its fit on all rows."""
JOINING_SHARE = 0.06
"""Of the budget, kept for joining the members."""
GROWTH = 4
"""How many times as dear as the member before it a member may be: it is begun if there is time for that."""
N_TRIALS = 1000
"""More than any budget allows: the clock ends the tuning."""
N_KEPT = 3
"""Candidates of each member of an ungrouped task that greedy selection chooses from."""
N_STEPS, N_BAGS = 40, 20
"""Of greedy selection; the defaults of `ensembles.greedy.GreedySelection`."""


def ours(task: Task, budget_s: float, seed: int, n_threads: int) -> NDArray[np.float64]:
    """Return the probabilities of the test rows, (n_test_rows, n_classes)."""
    deadline = perf_counter() + budget_s * (1 - JOINING_SHARE)
    # A trial is one thread; BLAS threads of two trials would only stand in each other's way.
    with threadpool_limits(1, user_api="blas"):
        if not task.grouped:
            return _rows(task, deadline, seed=seed, n_threads=n_threads)
        from studies.design import DesignEncoder

        assert task.encoder is not None, "grouped tasks tell their encoder"
        raw, encoder = pd.read_parquet(task.raw_train), DesignEncoder(**task.encoder)
        return _options(task, raw, encoder, deadline, seed=seed, n_threads=n_threads)


def ours_encoded_once(task: Task, budget_s: float, seed: int, n_threads: int) -> NDArray[np.float64]:
    """Return the probabilities of a grouped task's test rows, from the matrix that the peers get."""
    deadline = perf_counter() + budget_s * (1 - JOINING_SHARE)
    with threadpool_limits(1, user_api="blas"):
        return _options(task, task.X_train, None, deadline, seed=seed, n_threads=n_threads)


def _options(
    task: Task, rows: Any, encoder: Any, deadline: float, *, seed: int, n_threads: int
) -> NDArray[np.float64]:
    y, questions, groups = task.y_train, task.questions_train, task.groups_train
    splits = family_folds(groups, n_folds=N_FOLDS, seed=seed)
    folds = encode_folds(rows, y, groups=groups, folds=splits, encoder=encoder)
    oof: dict[str, NDArray[np.float64]] = {}
    test: dict[str, NDArray[np.float64]] = {}
    last_s = 0.0
    for place, name in enumerate(OPTION_MEMBERS):
        begun = perf_counter()
        if begun + GROWTH * last_s > deadline:
            break
        share_s = (deadline - begun) / (len(OPTION_MEMBERS) - place)
        with tempfile.TemporaryDirectory() as folder:
            tuned = tune(
                name, rows, y, questions=questions, groups=groups, folds=folds, n_trials=N_TRIALS,
                seed=seed, storage=Path(folder) / "journal", n_jobs=n_threads,
                timeout_s=share_s * TUNING_SHARE,
            )  # fmt: skip
        model = MEMBERS[name].make(tuned.params, seed=seed, n_jobs=n_threads)
        fitted = perf_counter()
        model.fit(task.X_train, y, groups=groups, questions=questions)
        oof[name] = tuned.oof_prob
        test[name] = model.predict_proba(task.X_test, questions=task.questions_test)[:, 1]
        # What this member takes at least: one trial in all folds, and its fit.
        last_s = tuned.oof_fit_s + perf_counter() - fitted
        print(f"{name}: {tuned.n_trials} trials, log-loss {tuned.inner_log_loss:.4f}", flush=True)
    joined = LevelOne(probs=list(oof), seed=seed)
    joined.fit(pd.DataFrame(oof), y, questions=questions, groups=groups)
    print(f"weights: {joined.weights_}", flush=True)
    return joined.predict_proba(pd.DataFrame(test), questions=task.questions_test)


OURS = {"ours": ours, "ours_encoded_once": ours_encoded_once}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Candidate:
    """Parameters of a member, judged out of fold."""

    member: str
    params: dict[str, Any]
    prob_of_right: NDArray[np.float64]
    """(n_train_rows,)"""
    seconds: float

    @property
    def log_loss(self) -> float:
        return float(-np.log(self.prob_of_right).mean())


def _rows(task: Task, deadline: float, *, seed: int, n_threads: int) -> NDArray[np.float64]:
    best: list[_Candidate] = []
    for place, name in enumerate(ROW_MEMBERS):
        begun = perf_counter()
        share_s = (deadline - begun) / (len(ROW_MEMBERS) - place)
        judged = _search(task, name, begun + TUNING_SHARE * share_s, seed=seed, n_threads=n_threads)
        best += sorted(judged, key=lambda candidate: candidate.log_loss)[:N_KEPT]
    prob_of_right = np.stack([candidate.prob_of_right for candidate in best], axis=1)
    rng, n_rows = np.random.default_rng(seed), len(task.y_train)
    weights = np.zeros(len(best))
    for _ in range(N_BAGS):
        drawn = np.bincount(rng.integers(n_rows, size=n_rows), minlength=n_rows)
        weights += select(prob_of_right, drawn.astype(np.float64), n_steps=N_STEPS) / N_BAGS
    prob = np.zeros((len(task.X_test), task.n_classes))
    for candidate, weight in zip(best, weights, strict=True):
        print(f"{candidate.member} {candidate.log_loss:.4f} weight {weight:.3f}", flush=True)
        if weight:
            model = MEMBERS[candidate.member].make(candidate.params, seed=seed, n_jobs=n_threads)
            prob += weight * model.fit(task.X_train, task.y_train).predict_proba(task.X_test)
    return prob


def _search(task: Task, name: str, deadline: float, *, seed: int, n_threads: int) -> list[_Candidate]:
    """Judge the defaults of a member, then what TPE proposes, until the next trial would end too late."""
    import optuna
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    split = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    member, found = MEMBERS[name], list[_Candidate]()
    drawn = member.suggest(optuna.trial.FixedTrial(dict(member.defaults)))
    study.enqueue_trial(drawn)
    slowest = 0.0
    while perf_counter() + slowest < deadline or not found:
        begun = perf_counter()
        trial = study.ask()
        params = member.suggest(trial)
        model = member.make(params, seed=seed, n_jobs=n_threads)
        prob = cross_val_predict(model, task.X_train, task.y_train, cv=split, method="predict_proba")
        candidate = _Candidate(
            member=name,
            params=params,
            prob_of_right=np.maximum(prob[np.arange(len(prob)), task.y_train], 1e-6),
            seconds=perf_counter() - begun,
        )
        study.tell(trial, candidate.log_loss)
        found.append(candidate)
        slowest = max(slowest, candidate.seconds)
    return found
