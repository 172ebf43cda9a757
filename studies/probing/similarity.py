"""Similarity of two stages of the same items: linear CKA, debiased.

Centred kernel alignment compares the similarities between items at one stage with those at another; a
rotation or a scale of the vectors changes nothing. The plain estimate approaches 1 for unrelated vectors of
more dimensions than items; this one uses an unbiased estimate of the Hilbert-Schmidt independence criterion,
so that unrelated stages are at 0, above or below.

References
----------
Kornblith, S. et al. (2019). Similarity of neural network representations revisited. ICML.
Song, L. et al. (2012). Feature selection via dependence maximization. JMLR 13, equation 5.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def debiased_cka(X: ArrayLike, Y: ArrayLike) -> float:
    """Return the similarity of two sets of vectors of the same items.

    Parameters
    ----------
    X : (n_items, dim_x) array_like of float
    Y : (n_items, dim_y) array_like of float

    Returns
    -------
    float
        1 for the same up to rotation and scale, about 0 for unrelated ones; NaN where the vectors of one are
        all alike, or too noisy for their own variance to be told from zero.

    Raises
    ------
    ValueError
        If there are fewer than 4 items, or not as many in both.
    """
    return float(cka_matrix([X, Y])[0, 1])


def cka_matrix(stages: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Return the similarity of every two of several sets of vectors, (n_stages, n_stages).

    Parameters
    ----------
    stages : sequence of (n_items, dim) array_like of float

    Raises
    ------
    ValueError
        As `debiased_cka`.
    """
    each = [_centred(vectors) for vectors in stages]
    sizes = {len(vectors) for vectors in each}
    if len(sizes) != 1 or min(sizes) < 4:
        raise ValueError(f"got vectors of {sorted(sizes)} items, expected 4 or more, as many of each stage")
    with_itself = np.array([_hsic(vectors, vectors) for vectors in each])
    scale = np.sqrt(np.where(with_itself > 0, with_itself, np.nan))
    found = np.diag(with_itself)
    for first in range(len(each)):
        for second in range(first):
            found[first, second] = found[second, first] = _hsic(each[first], each[second])
    return np.asarray(found / np.outer(scale, scale))


def _centred(vectors: ArrayLike) -> NDArray[np.float64]:
    """Return vectors around their mean, of length about 1: neither changes the outcome, both its rounding."""
    array = np.asarray(vectors, dtype=np.float64)
    assert np.isfinite(array).all(), "items without a vector are left out by the caller"
    centred = array - array.mean(axis=0)
    size = np.sqrt((centred**2).sum(axis=1).mean())
    # What is left of equal vectors is rounding.
    alike = size <= 1e-12 * np.abs(array).max(initial=0.0)
    return np.zeros_like(centred) if alike else np.asarray(centred / size)


def _hsic(X: NDArray[np.float64], Y: NDArray[np.float64]) -> float:
    """Return the unbiased estimate of the independence criterion, in the form that needs less memory.

    With K and L the inner products of items without the diagonal it needs tr(KL), the row sums of both, and
    the totals.
    """
    n = len(X)
    diagonal_x, diagonal_y = (X**2).sum(axis=1), (Y**2).sum(axis=1)
    rows_x, rows_y = X @ X.sum(axis=0) - diagonal_x, Y @ Y.sum(axis=0) - diagonal_y
    if X.shape[1] * Y.shape[1] <= n * n:
        trace = float(((X.T @ Y) ** 2).sum() - diagonal_x @ diagonal_y)
    else:
        products = (X @ X.T) * (Y @ Y.T)
        trace = float(products.sum() - np.trace(products))
    totals = float(rows_x.sum() * rows_y.sum()) / ((n - 1) * (n - 2))
    crossed = 2.0 / (n - 2) * float(rows_x @ rows_y)
    return (trace + totals - crossed) / (n * (n - 3))
