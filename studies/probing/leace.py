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

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
    vectors = np.asarray(X, dtype=np.float64)
    classes = np.unique(np.asarray(labels), return_inverse=True)[1]
    if len(vectors) == 0 or len(vectors) != len(classes):
        raise ValueError(f"got {len(classes)} labels of {len(vectors)} vectors, expected one of each")
    mean, directions, root = _principal(vectors)
    one_hot = np.eye(int(classes.max()) + 1)[classes]
    # Coordinates of unit variance, against classes of unit variance: singular values are correlations.
    spread = one_hot.std(axis=0)
    scaled = (one_hot - one_hot.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    crossed = ((vectors - mean) @ (directions / root)).T @ scaled / len(vectors)
    basis, correlation, _ = np.linalg.svd(crossed, full_matrices=False)
    basis = basis[:, correlation > _UNRELATED]
    return Eraser(mean=mean, back=(directions * root) @ basis, onto=basis.T @ (directions / root).T)


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
    mean, directions, root = _principal(np.asarray(X, dtype=np.float64))
    drawn = np.random.default_rng(seed).normal(size=(len(root), min(rank, len(root))))
    basis = np.linalg.qr(drawn)[0]
    return Eraser(mean=mean, back=(directions * root) @ basis, onto=basis.T @ (directions / root).T)


def _principal(
    vectors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (dim,), the directions of variance (dim, n_directions), and the spread along each."""
    assert np.isfinite(vectors).all(), "rows without a vector are left out by the caller"
    mean = vectors.mean(axis=0)
    centred = vectors - mean
    values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    kept = values > max(_NONE * values.max(), np.finfo(np.float64).tiny)
    return mean, directions[:, kept], np.sqrt(values[kept])
