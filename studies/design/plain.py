"""Numeric columns that are features as they are, or relative to the other options."""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from studies.design.siblings import Siblings


class PlainColumns(TransformerMixin, BaseEstimator):
    """Numeric columns of the table.

    Parameters
    ----------
    columns : tuple of str
        Columns to take.
    relative : bool
        Whether the values relative to the mean and to the best of the other options are added.
    """

    def __init__(self, *, columns: tuple[str, ...], relative: bool = False) -> None:
        self.columns = columns
        self.relative = relative

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Count the columns; nothing is learned."""
        self.n_columns_ = len(self.columns)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the columns, (n_rows, n_features)."""
        values = X[list(self.columns)].to_numpy(dtype=np.float64)
        if not self.relative:
            return values.astype(np.float32)
        siblings = Siblings(X["question_id"].to_numpy())
        margins = [siblings.margin(column) for column in values.T]
        return np.hstack([values, siblings.centred(values), np.stack(margins, axis=1)]).astype(np.float32)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Return the columns of the rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        suffixes = ("", "_relative", "_margin") if self.relative else ("",)
        bare = [name.split(":", 1)[-1] for name in self.columns]
        return np.array([name + suffix for suffix in suffixes for name in bare], dtype=object)
