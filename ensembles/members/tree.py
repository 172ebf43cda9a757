"""A single decision tree."""

from collections.abc import Mapping
from typing import Any

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"max_depth": 6, "min_samples_leaf": 20}


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted tree; one thread whatever ``n_jobs``."""
    from sklearn.tree import DecisionTreeClassifier

    return RowClassifier(DecisionTreeClassifier(**{**DEFAULTS, **params}, random_state=seed))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {
        "max_depth": trial.suggest_int("max_depth", 2, 14),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 200, log=True),
    }


def complexity(params: Mapping[str, Any]) -> float:
    """Return the most leaves that the depth allows."""
    return float(2 ** params["max_depth"])
