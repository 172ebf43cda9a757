"""Features made comparable for members that add or compare them: medians for what is missing, unit spread.

The same numbers as scikit-learn's ``SimpleImputer(strategy="median")`` and ``StandardScaler`` one after the
other, which hold several copies of the matrix while they learn. Here a few columns are held at a time, so
that a memory-mapped matrix of millions of rows can be larger than what memory is left.
"""

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

BLOCK_CELLS = 2**21
"""Values that are held as float64 at a time: 16 MiB."""


class Standardised(BaseEstimator):
    """Missing values by the column's median, then mean 0 and variance 1; a constant column becomes 0.

    A part of members, which check what comes in.

    Attributes
    ----------
    fill_ : ndarray, shape (n_features,)
        Median of the known values; 0 for a column without any.
    mean_, scale_ : ndarray, shape (n_features,)
        Weighted, after filling; the scale of a constant column is 1.
    """

    def fit(self, X: ArrayLike, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn medians, means and spreads.

        Parameters
        ----------
        X : array of float, shape (n_rows, n_features)
            NaN is a missing value.
        y : ignored
        sample_weight : array of float, shape (n_rows,), optional
            Rows without weight are left out.
        """
        matrix = np.asarray(X)
        weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
        kept = slice(None) if weight is None or (weight > 0).all() else weight > 0
        weight = None if weight is None else weight[kept]
        n_rows, n_columns = matrix.shape
        self.fill_, self.mean_, self.scale_ = np.zeros(n_columns), np.zeros(n_columns), np.ones(n_columns)
        for columns in _blocks(n_columns, n_rows):
            values = np.array(matrix[:, columns][kept], dtype=np.float64, order="F")
            missing = np.isnan(values)
            for place in range(values.shape[1]):
                known = values[~missing[:, place], place]
                self.fill_[columns.start + place] = np.median(known) if len(known) else 0.0
            values = np.where(missing, self.fill_[columns], values)
            self.mean_[columns] = np.average(values, axis=0, weights=weight)
            values -= self.mean_[columns]
            spread = np.sqrt(np.average(values**2, axis=0, weights=weight))
            constant = spread <= 1e-7 * np.maximum(np.abs(self.mean_[columns]), 1e-7)
            self.scale_[columns] = np.where(constant, 1.0, spread)
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Return the features, (n_rows, n_features), without missing values."""
        check_is_fitted(self, "scale_")
        values = np.array(X, dtype=np.float64)
        np.copyto(values, self.fill_, where=np.isnan(values))
        values -= self.mean_
        values /= self.scale_
        return values

    def blocks(self, X: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float64]]]:
        """Yield the features a few rows at a time: which rows, and (n_block_rows, n_features)."""
        for rows in _blocks(*X.shape):
            yield rows, self.transform(X[rows])


def _blocks(n: int, n_across: int) -> Iterator[slice]:
    """Yield slices of ``n`` whose cells, ``n_across`` each, are about `BLOCK_CELLS`."""
    size = max(1, BLOCK_CELLS // max(n_across, 1))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
