"""One decision tree, and a random forest (Breiman 2001) of 100.

A leaf's shares take the prior of the training labels as one more row of the leaf, so that a leaf of one row
does not make certain.
"""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from studies.probing.family import ProbeFamily, Settings

N_TREES = 100
MOST_DRAWN = 2000
"""Rows that a tree of the forest draws at most: its cost then stops growing with the table."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Trees:
    trees: list[Any]
    prior: NDArray[np.float64]

    @property
    def n_bytes(self) -> int:
        """Nodes and the shares of classes that they hold."""
        return int(
            sum(
                tree.node_count * (tree.__getstate__()["nodes"].itemsize) + tree.value.nbytes
                for tree in self.trees
            )
        )

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean over trees of a leaf's shares, (n_rows, n_classes)."""
        single = X.astype(np.float32)
        total = np.zeros((len(X), len(self.prior)))
        for tree in self.trees:
            leaf = tree.apply(single)
            size = tree.weighted_n_node_samples[:, None]
            total += ((tree.value[:, 0] * size + self.prior) / (size + 1))[leaf]
        return total / len(self.trees)


def fit_tree(
    X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
) -> _Trees:
    """Fit one tree; one thread."""
    model = _fitted(DecisionTreeClassifier(**settings, random_state=seed), X, y)
    return _Trees(trees=[model.tree_], prior=np.bincount(y) / len(y))


def fit_forest(
    X: NDArray[np.float64], y: NDArray[np.int64], settings: Settings, *, seed: int, n_jobs: int
) -> _Trees:
    """Fit a forest, ``n_jobs`` trees at a time, each on half as many rows as there are, or `MOST_DRAWN`."""
    drawn = min(max(1, len(y) // 2), MOST_DRAWN)
    unfitted = RandomForestClassifier(
        N_TREES, **settings, max_samples=drawn, random_state=seed, n_jobs=n_jobs
    )
    model = _fitted(unfitted, X, y)
    return _Trees(trees=[each.tree_ for each in model.estimators_], prior=np.bincount(y) / len(y))


def _fitted(model: Any, X: NDArray[np.float64], y: NDArray[np.int64]) -> Any:
    with warnings.catch_warnings():
        # A prefix of a learning curve may well have more classes than half its rows.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        return model.fit(X.astype(np.float32), y)


TREE = ProbeFamily(
    label="tree", grid=tuple({"min_samples_leaf": number} for number in (60, 20, 6)), fit=fit_tree
)
FOREST = ProbeFamily(
    label="random forest", grid=tuple({"min_samples_leaf": number} for number in (5, 1)), fit=fit_forest
)
