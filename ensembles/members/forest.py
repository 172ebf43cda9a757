"""A random forest: M trees in parallel, on bootstrap samples of rows (Breiman 2001)."""

from collections.abc import Mapping
from typing import Any

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {
    "n_estimators": 100,
    "max_features": 0.1,
    "min_samples_leaf": 5,
    "max_samples": 0.6,
}


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted forest that grows ``n_jobs`` trees at a time."""
    from sklearn.ensemble import RandomForestClassifier

    return RowClassifier(RandomForestClassifier(**{**DEFAULTS, **params}, random_state=seed, n_jobs=n_jobs))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {
        "max_features": trial.suggest_float("max_features", 0.02, 0.15, log=True),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 1, 40, log=True),
        "max_samples": trial.suggest_float("max_samples", 0.4, 0.9),
    }


def complexity(params: Mapping[str, Any]) -> float:
    """Return how small a leaf may be: the inverse of its rows."""
    return 1.0 / float(params["min_samples_leaf"])
