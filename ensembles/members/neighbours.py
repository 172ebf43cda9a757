"""k nearest neighbours on standardised features."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KNeighborsClassifier

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"n_neighbors": 40}


class WeightedNeighbours(KNeighborsClassifier):
    """Votes of the nearest rows, by closeness and sample weight.

    Unlike in scikit-learn, rows have weights, and fewer rows than neighbours are all neighbours.

    Parameters
    ----------
    n_neighbors : int
    n_jobs : int
    """

    def __init__(self, n_neighbors: int = 40, *, n_jobs: int | None = None) -> None:
        # Exact search by matrix products: bit-equal whatever the number of workers.
        super().__init__(n_neighbors, weights="distance", algorithm="brute", n_jobs=n_jobs)

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Keep the rows and their weights; those without weight are left out."""
        labels = np.asarray(y)
        weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        super().fit(np.asarray(X)[weight > 0], labels[weight > 0])
        self.row_weight_ = weight[weight > 0]
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the weighted share of each class among the neighbours, (n_rows, n_classes)."""
        distance, at = self.kneighbors(X, min(self.n_neighbors, self.n_samples_fit_))
        with np.errstate(divide="ignore"):
            closeness = 1.0 / distance
        same = np.isinf(closeness).any(axis=1)
        closeness[same] = np.isinf(closeness[same])
        votes = closeness * self.row_weight_[at]
        shares = np.stack(
            [(votes * (self._y[at] == k)).sum(axis=1) for k in range(len(self.classes_))], axis=1
        )
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted pipeline: median imputation, standardisation, distance-weighted neighbours."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return RowClassifier(
        make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True),
            StandardScaler(),
            WeightedNeighbours(**{**DEFAULTS, **params}, n_jobs=n_jobs),
        )
    )


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"n_neighbors": trial.suggest_int("n_neighbors", 5, 200, log=True)}


def complexity(params: Mapping[str, Any]) -> float:
    """Return how local a vote is: the inverse of the number of neighbours."""
    return 1.0 / float(params["n_neighbors"])
