"""Means and covariance of labelled vectors that do not fit in memory together, gathered part by part.

References
----------
Chan, T. F., Golub, G. H. and LeVeque, R. J. (1979). Updating formulae and a pairwise algorithm for computing
sample variances. Stanford STAN-CS-79-773.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Moments:
    """What `studies.probing.leace.fit_leace_moments` needs to know of vectors; see `add`.

    Parameters
    ----------
    dim : int
        Width of the vectors; dim * dim numbers are kept.
    n_classes : int

    Examples
    --------
    >>> moments = Moments(dim=2, n_classes=2)
    >>> moments.add([[0, 0], [2, 0]], [0, 1])
    >>> moments.add([[0, 2], [2, 2]], [0, 1])
    >>> moments.n_rows, moments.mean.tolist(), moments.covariance.tolist()
    (4, [1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]])
    >>> moments.crossed.tolist()
    [[-0.5, 0.5], [0.0, 0.0]]
    """

    def __init__(self, *, dim: int, n_classes: int) -> None:
        self.mean: NDArray[np.float64] = np.zeros(dim)
        """(dim,)"""
        self._scatter: NDArray[np.float64] = np.zeros((dim, dim))
        self._counts: NDArray[np.int64] = np.zeros(n_classes, dtype=np.int64)
        self._sums: NDArray[np.float64] = np.zeros((n_classes, dim))

    def add(self, X: ArrayLike, classes: ArrayLike) -> None:
        """Take in more vectors.

        Parameters
        ----------
        X : (n_rows, dim) array_like of float
            Finite.
        classes : (n_rows,) array_like of int
            Class of each, from 0 to n_classes - 1.

        Raises
        ------
        ValueError
            If shapes do not fit, or there is no such class.
        """
        vectors, numbers = np.asarray(X, dtype=np.float64), np.asarray(classes)
        if vectors.shape != (len(numbers), len(self.mean)):
            raise ValueError(
                f"got {len(numbers)} classes of vectors of shape {vectors.shape}, "
                f"expected one of each and {len(self.mean)} columns"
            )
        if len(numbers) == 0:
            return
        if not 0 <= numbers.min() <= numbers.max() < len(self._counts):
            raise ValueError(
                f"got classes {numbers.min()} to {numbers.max()}, expected 0 to {len(self._counts) - 1}"
            )
        assert np.isfinite(vectors).all(), "rows without a vector are left out by the caller"
        n_before, n_new = self.n_rows, len(numbers)
        mean = vectors.mean(axis=0)
        moved, centred = mean - self.mean, vectors - mean
        share = n_new / (n_before + n_new)
        self._scatter += centred.T @ centred + np.outer(moved, moved) * (n_before * share)
        self.mean += moved * share
        self._counts += np.bincount(numbers, minlength=len(self._counts))
        self._sums += np.eye(len(self._counts))[:, numbers] @ vectors

    @property
    def n_rows(self) -> int:
        """Vectors so far."""
        return int(self._counts.sum())

    @property
    def covariance(self) -> NDArray[np.float64]:
        """(dim, dim), divided by the number of vectors."""
        return self._scatter / max(self.n_rows, 1)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(n_classes,) of the vectors, adding up to 1."""
        return self._counts / max(self.n_rows, 1)

    @property
    def crossed(self) -> NDArray[np.float64]:
        """(dim, n_classes), covariance of the vectors with the indicators of the classes."""
        return np.asarray((self._sums / max(self.n_rows, 1) - np.outer(self.shares, self.mean)).T)
