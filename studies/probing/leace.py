"""Least-squares concept erasure (LEACE): the smallest change after which no linear probe finds a concept.

``x - C^(1/2) U U^T C^(-1/2) (x - mean)`` with C the covariance of the vectors, its inverse root a
pseudo-inverse, and U an orthonormal basis of the whitened cross-covariance with the classes. On the vectors
it was fitted on, all classes have the same mean afterwards, which is the same as saying that no linear
classifier with a convex loss beats the best constant one. What is not linear may remain: a tree may still
find it.

References
----------
Belrose, N. et al. (2023). LEACE: Perfect linear concept erasure in closed form. NeurIPS, theorem 4.3.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from studies.probing.moments import Moments

_NONE = 1e-10
"""Eigenvalues of the covariance, relative to the largest, that count as zero."""
_UNRELATED = 1e-8
"""Correlations with the classes that count as none."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Eraser:
    """An affine map that takes a concept out of vectors."""

    mean: NDArray[np.float64]
    """(dim,)"""
    back: NDArray[np.float64]
    """(dim, rank) from the erased coordinates to vectors."""
    onto: NDArray[np.float64]
    """(rank, dim) from centred vectors to the erased coordinates."""

    @property
    def rank(self) -> int:
        """Dimensions that are taken out, at most the number of classes minus 1."""
        return int(self.back.shape[1])

    def apply(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return vectors without the concept, (n_rows, dim)."""
        vectors = np.asarray(X, dtype=np.float64)
        return np.asarray(vectors - ((vectors - self.mean) @ self.onto.T) @ self.back.T)


def fit_leace(X: ArrayLike, labels: ArrayLike) -> Eraser:
    """Return the eraser of a concept.

    Parameters
    ----------
    X : (n_rows, dim) array_like of float
        Finite; training vectors only.
    labels : (n_rows,) array_like
        Class of each vector; one class alone leaves nothing to erase.

    Raises
    ------
    ValueError
        If lengths differ or there is no row.
    """
    return fit_leace_moments(_gathered(X, np.asarray(labels)))


def fit_leace_moments(moments: Moments) -> Eraser:
    """Return the eraser of a concept from vectors that were gathered part by part.

    Parameters
    ----------
    moments : Moments
        Of one row or more.
    """
    directions, root = _principal(moments)
    # Coordinates of unit variance, against classes of unit variance: singular values are correlations.
    spread = np.sqrt(moments.shares * (1 - moments.shares))
    crossed = (directions / root).T @ (moments.crossed / np.where(spread > 0, spread, 1.0))
    basis, correlation, _ = np.linalg.svd(crossed, full_matrices=False)
    return _eraser(moments, directions, root, basis[:, correlation > _UNRELATED])


def random_eraser(X: ArrayLike, *, rank: int, seed: int) -> Eraser:
    """Return an eraser of random directions, with which that of a concept is compared.

    Parameters
    ----------
    X : (n_rows, dim) array_like of float
        As in `fit_leace`.
    rank : int
        Dimensions to take out, drawn evenly among those in which the vectors vary; 0 or more. Where they vary
        in fewer, all of them.
    seed : int
    """
    return random_eraser_moments(_gathered(X, np.zeros(len(np.asarray(X)))), rank=rank, seed=seed)


def random_eraser_moments(moments: Moments, *, rank: int, seed: int) -> Eraser:
    """Return what `random_eraser` does, of vectors that were gathered part by part."""
    directions, root = _principal(moments)
    drawn = np.random.default_rng(seed).normal(size=(len(root), min(rank, len(root))))
    return _eraser(moments, directions, root, np.linalg.qr(drawn)[0])


def _gathered(X: ArrayLike, labels: NDArray[Any]) -> Moments:
    vectors = np.asarray(X, dtype=np.float64)
    if len(vectors) == 0 or len(vectors) != len(labels):
        raise ValueError(f"got {len(labels)} labels of {len(vectors)} vectors, expected one of each")
    names, classes = np.unique(labels, return_inverse=True)
    moments = Moments(dim=vectors.shape[1], n_classes=len(names))
    moments.add(vectors, classes)
    return moments


def _principal(moments: Moments) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the directions of variance (dim, n_directions), and the spread along each."""
    values, directions = np.linalg.eigh(moments.covariance)
    kept = values > max(_NONE * values.max(), np.finfo(np.float64).tiny)
    return directions[:, kept], np.sqrt(values[kept])


def _eraser(
    moments: Moments,
    directions: NDArray[np.float64],
    root: NDArray[np.float64],
    basis: NDArray[np.float64],
) -> Eraser:
    """Return the eraser of a basis (n_directions, rank) of the whitened space."""
    return Eraser(
        mean=moments.mean.copy(), back=(directions * root) @ basis, onto=basis.T @ (directions / root).T
    )
