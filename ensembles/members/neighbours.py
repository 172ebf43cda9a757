"""k nearest neighbours on standardised features."""

from collections.abc import Mapping
from typing import Any

from sklearn.neighbors import KNeighborsClassifier

from ensembles.members.rows import RowClassifier
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"n_neighbors": 40}


class AtMostAllNeighbours(KNeighborsClassifier):
    """k nearest neighbours, or all rows where there are fewer than k; scikit-learn raises there."""

    def kneighbors(self, X: Any = None, n_neighbors: int | None = None, return_distance: bool = True) -> Any:
        """Return the neighbours of each row of ``X``."""
        wanted = self.n_neighbors if n_neighbors is None else n_neighbors
        return super().kneighbors(X, min(wanted, self.n_samples_fit_), return_distance)


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return an unfitted pipeline: median imputation, standardisation, distance-weighted neighbours."""
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # Exact search by matrix products: bit-equal whatever the number of workers.
    neighbours = AtMostAllNeighbours(
        **{**DEFAULTS, **params}, weights="distance", algorithm="brute", n_jobs=n_jobs
    )
    return RowClassifier(
        make_pipeline(
            SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler(), neighbours
        )
    )


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"n_neighbors": trial.suggest_int("n_neighbors", 5, 200, log=True)}
