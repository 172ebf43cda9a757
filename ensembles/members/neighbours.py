"""k nearest neighbours on standardised features, among a sample of the rows where there are many.

The search is exact and compares every row with every reference row, so its cost per row grows with the
number of those. Above ``n_reference`` rows a random sample of that size is the reference; a neighbour is then
further away than it could be, and what is rare may be missing from the sample.
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import Tags

from ensembles.members.rows import RowClassifier
from ensembles.members.standardised import Standardised
from ensembles.space import Trial

DEFAULTS: Mapping[str, Any] = {"n_neighbors": 40, "n_reference": 30_000}


class WeightedNeighbours(KNeighborsClassifier):
    """Votes of the nearest rows, by closeness and sample weight.

    Unlike in scikit-learn, features are standardised and may be missing, rows have weights, and fewer rows
    than neighbours are all neighbours.

    Parameters
    ----------
    n_neighbors : int
    n_reference : int
        Rows that are kept at most; above 0.
    seed : int
        Draws them.
    n_jobs : int
    """

    def __init__(
        self,
        n_neighbors: int = 40,
        *,
        n_reference: int = 30_000,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> None:
        # Exact search by matrix products: bit-equal whatever the number of workers.
        super().__init__(n_neighbors, weights="distance", algorithm="brute", n_jobs=n_jobs)
        self.n_reference = n_reference
        self.seed = seed

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Keep rows, those with weight only, and one of each class at least."""
        labels = np.asarray(y)
        weight = np.ones(len(labels)) if sample_weight is None else np.asarray(sample_weight, dtype=float)
        rows = np.flatnonzero(weight > 0)
        if len(rows) > self.n_reference:
            rng = np.random.default_rng(self.seed)
            drawn = rng.choice(rows, self.n_reference, replace=False)
            first = rows[np.unique(labels[rows], return_index=True)[1]]
            rows = np.union1d(drawn, first[~np.isin(labels[first], labels[drawn])])
        reference = np.asarray(X)[rows]
        self.standardised_ = Standardised().fit(reference, sample_weight=weight[rows])
        super().fit(self.standardised_.transform(reference).astype(np.float32), labels[rows])
        self.row_weight_ = weight[rows]
        return self

    def predict_proba(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the weighted share of each class among the neighbours, (n_rows, n_classes)."""
        matrix = np.asarray(X)
        shares = np.empty((len(matrix), len(self.classes_)))
        for rows, block in self.standardised_.blocks(matrix):
            shares[rows] = self._shares(block.astype(np.float32))
        return shares

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Return the class with the largest share, (n_rows,)."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _shares(self, block: NDArray[np.float32]) -> NDArray[np.float64]:
        distance, at = self.kneighbors(block, min(self.n_neighbors, self.n_samples_fit_))
        with np.errstate(divide="ignore"):
            closeness = 1.0 / distance
        same = np.isinf(closeness).any(axis=1)
        closeness[same] = np.isinf(closeness[same])
        votes = closeness * self.row_weight_[at]
        shares = np.stack(
            [(votes * (self._y[at] == k)).sum(axis=1) for k in range(len(self.classes_))], axis=1
        )
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def make(params: Mapping[str, Any], *, seed: int, n_jobs: int) -> RowClassifier:
    """Return unfitted distance-weighted neighbours."""
    return RowClassifier(WeightedNeighbours(**{**DEFAULTS, **params}, seed=seed, n_jobs=n_jobs))


def suggest(trial: Trial) -> dict[str, Any]:
    """Draw from the search space."""
    return {"n_neighbors": trial.suggest_int("n_neighbors", 5, 200, log=True)}


def complexity(params: Mapping[str, Any]) -> float:
    """Return how local a vote is: the inverse of the number of neighbours."""
    return 1.0 / float(params["n_neighbors"])
