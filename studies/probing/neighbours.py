"""Nearest neighbours: shares of the classes among the k nearest training vectors, standardised.

The prior of the training labels votes as one more neighbour, so that one neighbour does not make certain.
Fewer training vectors than k are all neighbours. Among vectors at the same distance the earlier one counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ensembles.members.standardised import Standardised
from studies.probing.family import ProbeFamily, Settings

CELLS = 2**23
"""Distances that are held at a time: 64 MiB."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Neighbours:
    scaled: Standardised
    vectors: NDArray[np.float64]
    y: NDArray[np.int64]
    n_neighbours: int

    @property
    def n_bytes(self) -> int:
        """The training set: that is what it learns."""
        return int(self.vectors.nbytes + self.y.nbytes)

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""
        return self.prob_of_each(X, [self.n_neighbours])[0]

    def prob_of_each(self, X: NDArray[np.float64], numbers: Sequence[int]) -> list[NDArray[np.float64]]:
        """Return the probabilities for several numbers of neighbours, from one search."""
        numbers = [min(number, len(self.y)) for number in numbers]
        nearest = self._nearest(self.scaled.transform(X), max(numbers))
        n_classes = int(self.y.max()) + 1
        prior = np.bincount(self.y) / len(self.y)
        cells = np.arange(len(X))[:, None] * n_classes + self.y[nearest]
        found = []
        for number in numbers:
            votes = np.bincount(cells[:, :number].ravel(), minlength=len(X) * n_classes)
            found.append((votes.reshape(len(X), n_classes) + prior) / (number + 1))
        return found

    def _nearest(self, X: NDArray[np.float64], number: int) -> NDArray[np.intp]:
        """Return the nearest training rows, the nearest first, (n_rows, number)."""
        lengths = (self.vectors**2).sum(axis=1)
        nearest = np.empty((len(X), number), dtype=np.intp)
        size = max(1, CELLS // len(lengths))
        for start in range(0, len(X), size):
            block = X[start : start + size]
            # The length of the new vector itself does not change the order.
            distance = lengths - 2.0 * (block @ self.vectors.T)
            kept = np.sort(np.argpartition(distance, number - 1, axis=1)[:, :number], axis=1)
            order = np.argsort(np.take_along_axis(distance, kept, axis=1), axis=1, kind="stable")
            nearest[start : start + size] = np.take_along_axis(kept, order, axis=1)
        return nearest


def fit(
    X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
) -> _Neighbours:
    """Keep the training vectors; neither seed nor threads play a part."""
    scaled = Standardised().fit(X)
    return _Neighbours(scaled=scaled, vectors=scaled.transform(X), y=y, n_neighbours=settings["n_neighbours"])


def along(
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    X_new: NDArray[np.float64],
    grid: Sequence[Settings],
    seed: int,
    n_jobs: int,
) -> list[NDArray[np.float64]]:
    """Return the probabilities for each number of neighbours."""
    kept = fit(X, y, grid[0], seed=seed, n_jobs=n_jobs)
    return kept.prob_of_each(X_new, [settings["n_neighbours"] for settings in grid])


FAMILY = ProbeFamily(
    label="nearest neighbours",
    grid=tuple({"n_neighbours": number} for number in (50, 15, 5, 1)),
    fit=fit,
    along=along,
)
