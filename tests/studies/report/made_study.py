"""An Optuna study with completed, pruned and failed trials, as tests of its page need it."""

import math
import random
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

DEFAULTS = {"learning_rate": 0.3, "max_depth": 6, "growth": "depth"}


def make_study(
    path: Path,
    *,
    n_trials: int = 24,
    name: str = "xgboost",
    direction: str = "minimize",
    defaults: bool = True,
    seed: int = 0,
) -> optuna.Study:
    """Study with completed, pruned and failed trials in a journal file."""
    storage = JournalStorage(JournalFileBackend(str(path)))
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        direction=direction,
        sampler=optuna.samplers.RandomSampler(seed=seed),
    )
    study.set_user_attr("metric", "log-loss")
    if defaults:
        study.enqueue_trial(DEFAULTS)
    rng = random.Random(seed)

    def objective(trial: optuna.Trial) -> float:
        rate = trial.suggest_float("learning_rate", 1e-3, 0.5, log=True)
        depth = trial.suggest_int("max_depth", 2, 10)
        growth = trial.suggest_categorical("growth", ["depth", "<b>loss</b>"])
        loss = (
            0.5 + 0.05 * (math.log10(rate) + 1) ** 2 + 0.004 * (depth - 5) ** 2 + 0.01 * (growth != "depth")
        )
        loss += rng.gauss(0, 0.002)
        trial.report(loss + 0.1, 0)
        if trial.number % 5 == 3:
            raise optuna.TrialPruned
        if trial.number % 11 == 7:
            raise ValueError("diverged")
        return loss if direction == "minimize" else -loss

    study.optimize(objective, n_trials=n_trials, catch=(ValueError,))
    return study
