"""Logistic regression on standardised features."""

from collections.abc import Mapping
from typing import Any

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"C": 0.01}


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted pipeline: median imputation, standardisation, ridge-penalised regression."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return RowClassifier(
        make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            LogisticRegression(**{**DEFAULTS, **params}, solver="newton-cholesky", random_state=seed),
        )
    )


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"C": trial.suggest_float("C", 1e-4, 10.0, log=True)}


def complexity(params: Mapping[str, Any]) -> float:
    """Return the inverse of the penalty."""
    return float(params["C"])
