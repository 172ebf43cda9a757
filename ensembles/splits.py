"""Folds that keep families together, or, of rows without families, spread every class."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import assert_all_finite

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Positions to learn from, positions to judge."""


def family_folds(groups: ArrayLike, *, n_folds: int, seed: int) -> list[Fold]:
    """Split rows into folds of about equal size, each family whole.

    Families are dealt out from the largest to the smallest, each to the fold that is smallest so far; equal
    sizes are shuffled by the seed.

    Parameters
    ----------
    groups : array of int, shape (n_rows,)
        Family of each row.
    n_folds : int
        At least 2.
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        ``n_folds`` pairs of row positions, in ascending order; the second parts are a partition.

    Raises
    ------
    ValueError
        If there are fewer families than folds, or fewer than two folds, or a family is missing.
    """
    assert_all_finite(np.asarray(groups), input_name="groups")
    families, inverse = np.unique(np.asarray(groups), return_inverse=True)
    if n_folds < 2:
        raise ValueError(f"got {n_folds} folds, expected 2 or more")
    if len(families) < n_folds:
        raise ValueError(f"got {len(families)} families for {n_folds} folds, expected at least one each")
    sizes = np.bincount(inverse)
    shuffled = np.random.default_rng(seed).permutation(len(families))
    filled = np.zeros(n_folds, dtype=np.int64)
    fold_of_family = np.empty(len(families), dtype=np.int64)
    for family in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold = int(np.argmin(filled))
        fold_of_family[family] = fold
        filled[fold] += sizes[family]
    fold_of_row = fold_of_family[inverse]
    return [(np.flatnonzero(fold_of_row != k), np.flatnonzero(fold_of_row == k)) for k in range(n_folds)]


def class_folds(labels: ArrayLike, *, n_folds: int, seed: int) -> list[Fold]:
    """Split rows that belong to nobody into folds with about the same share of each class.

    Parameters
    ----------
    labels : array of int, shape (n_rows,)
    n_folds : int
        At least 2.
    seed : int

    Returns
    -------
    list of (ndarray, ndarray)
        As `family_folds`.

    Raises
    ------
    ValueError
        If there are fewer rows than folds, or fewer than two folds.
    """
    classes = np.asarray(labels)
    if n_folds < 2:
        raise ValueError(f"got {n_folds} folds, expected 2 or more")
    if len(classes) < n_folds:
        raise ValueError(f"got n_samples={len(classes)} for {n_folds} folds, expected at least one each")
    shuffled = np.random.default_rng(seed).permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    fold_of_row = np.empty(len(classes), dtype=np.int64)
    fold_of_row[by_class] = np.arange(len(classes)) % n_folds
    return [(np.flatnonzero(fold_of_row != k), np.flatnonzero(fold_of_row == k)) for k in range(n_folds)]
