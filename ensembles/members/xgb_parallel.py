"""Boosted forests: every round of XGBoost grows several trees in parallel and adds their mean.

The native counterpart of `ensembles.members.forest_of_xgb`: there M boosters are averaged, here M trees stand
in each round of one booster. Rows are drawn within a round and by row, so there is no out-of-bag score, which
families would spoil.
"""

from collections.abc import Mapping
from typing import Any

from ensembles.members import xgb
from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 60,
    "num_parallel_tree": 5,
    "learning_rate": 0.15,
    "max_depth": 5,
    "min_child_weight": 4.0,
    "subsample": 0.7,
    "colsample_bynode": 0.3,
    "reg_lambda": 2.0,
}


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted XGBoost with ``num_parallel_tree`` trees a round and ``n_jobs`` threads."""
    return RowClassifier(xgb.booster({**DEFAULTS, **params}, seed=seed, n_jobs=n_jobs))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {
        "n_estimators": trial.suggest_int("n_estimators", 20, 120),
        "learning_rate": trial.suggest_float("learning_rate", 0.05, 0.4, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 8),
        "min_child_weight": trial.suggest_float("min_child_weight", 0.5, 30.0, log=True),
        "subsample": trial.suggest_float("subsample", 0.4, 0.9),
        "colsample_bynode": trial.suggest_float("colsample_bynode", 0.05, 0.8, log=True),
        "reg_lambda": trial.suggest_float("reg_lambda", 0.3, 30.0, log=True),
    }


def complexity(params: Mapping[str, Any]) -> float:
    """Return the most leaves of all trees."""
    return float(params["num_parallel_tree"] * xgb.complexity(params))
