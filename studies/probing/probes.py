"""The families of probes by name, and a fit that takes any labels."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.probing import boosting, linear, neighbours, trees
from studies.probing.family import Fitted, ProbeFamily, Settings

PROBES: Mapping[str, ProbeFamily] = {
    "linear": linear.FAMILY,
    "neighbours": neighbours.FAMILY,
    "tree": trees.TREE,
    "forest": trees.FOREST,
    "boosting": boosting.FAMILY,
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Probe:
    """A fitted probe that knows classes which its training set lacks: they get probability 0."""

    fitted: Fitted | None
    """None where training showed one class only, which is then certain."""
    present: NDArray[np.int64]
    """Classes of the training set, ascending."""
    n_classes: int

    @property
    def n_bytes(self) -> int:
        """Size of what was learned, in bytes; 0 where there was nothing to learn."""
        return 0 if self.fitted is None else self.fitted.n_bytes

    def prob(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of each class, (n_rows, n_classes)."""
        known = np.ones((len(X), 1)) if self.fitted is None else self.fitted.prob(X)
        return _spread(known, self.present, self.n_classes)


def probe_family(name: str) -> ProbeFamily:
    """Return a family by its name.

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    if name not in PROBES:
        raise ValueError(f"got probe {name!r}, known are {', '.join(PROBES)}")
    return PROBES[name]


def fit_probe(
    family: ProbeFamily,
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    *,
    n_classes: int,
    settings: Settings,
    seed: int,
    n_jobs: int,
) -> Probe:
    """Fit a probe on classes of 0 to ``n_classes - 1``, of which any may be absent.

    Parameters
    ----------
    family : ProbeFamily
    X : (n_rows, dim) array of float
    y : (n_rows,) array of int
    n_classes : int
    settings : mapping
    seed, n_jobs : int
        ``n_jobs`` threads change the cost only.
    """
    present, labels = np.unique(y, return_inverse=True)
    fitted = family.fit(X, labels, settings, seed=seed, n_jobs=n_jobs) if len(present) > 1 else None
    return Probe(fitted=fitted, present=present, n_classes=n_classes)


def prob_along(
    family: ProbeFamily,
    X: NDArray[np.float64],
    y: NDArray[np.int64],
    X_new: NDArray[np.float64],
    *,
    n_classes: int,
    grid: Sequence[Settings],
    seed: int,
    n_jobs: int,
) -> list[NDArray[np.float64]]:
    """Return what a probe of each of the settings says of new rows, each (n_new, n_classes)."""
    present, labels = np.unique(y, return_inverse=True)
    if family.along is not None and len(present) > 1:
        found = family.along(X, labels, X_new, grid, seed, n_jobs)
        return [_spread(prob, present, n_classes) for prob in found]
    return [
        fit_probe(family, X, y, n_classes=n_classes, settings=settings, seed=seed, n_jobs=n_jobs).prob(X_new)
        for settings in grid
    ]


def _spread(known: NDArray[np.float64], present: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    prob = np.zeros((len(known), n_classes))
    prob[:, present] = known
    return prob
