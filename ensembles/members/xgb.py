"""XGBoost: M trees in sequence, each on what the earlier ones got wrong (Chen and Guestrin 2016)."""

from collections.abc import Mapping
from typing import Any

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 150,
    "learning_rate": 0.08,
    "max_depth": 5,
    "min_child_weight": 4.0,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "reg_lambda": 2.0,
}


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted XGBoost with ``n_jobs`` threads."""
    return RowClassifier(booster({**DEFAULTS, **params}, seed=seed, n_jobs=n_jobs))


def booster(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> Any:
    """Return an unfitted XGBClassifier on histograms."""
    from xgboost import XGBClassifier

    return XGBClassifier(
        **params, tree_method="hist", max_bin=64, random_state=seed, n_jobs=n_jobs, verbosity=0
    )


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 350),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.25, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 30.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.15, 0.9),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.3, 30.0, log=True),
    }


def complexity(params: Mapping[str, Any]) -> float:
    """Return the most leaves that number and depth of the trees allow."""
    return float(params["n_estimators"] * 2 ** params["max_depth"])
