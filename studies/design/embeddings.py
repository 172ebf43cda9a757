"""Blocks made of stored arrays: reduced inside the fold, and set against the other options.

An embedding of the image is the same for all options of a question, so alone it cannot rank them. It counts
through its products with the options' embeddings and, in trees, together with option_text. Option
embeddings are used relative to their siblings. A missing array is a row of NaN; PCA is fitted on the rows
that have one, and NaN goes through.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA

from studies.design.siblings import Siblings

_MAX_FIT_ROWS = 20_000


class ReducedArray(TransformerMixin, BaseEstimator):
    """PCA of one array column.

    Parameters
    ----------
    column : str
        Column of equally long arrays, None where missing.
    n_components : int
        At most; short arrays are passed through.
    relative : bool
        Whether the mean over the question's options is taken off: columns that differ between options only.
    absolute : bool
        Whether the values are also given as they are.
    seed : int
        Seed of the randomised PCA.
    """

    def __init__(
        self,
        *,
        column: str,
        n_components: int = 24,
        relative: bool = False,
        absolute: bool = True,
        seed: int = 0,
    ) -> None:
        self.column = column
        self.n_components = n_components
        self.relative = relative
        self.absolute = absolute
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn the directions; labels are not used."""
        self.width_ = array_width(X, self.column)
        self.pca_ = _fit_pca(arrays_of(X, self.column, self.width_), self.n_components, self.seed)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the components, (n_rows, n_features)."""
        values = _reduce(self.pca_, arrays_of(X, self.column, self.width_))
        parts = [values] if self.absolute else []
        if self.relative:
            parts.append(Siblings(X["question_id"].to_numpy()).centred(values).astype(np.float32))
        return np.hstack(parts)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the components of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        n = self.width_ if self.pca_ is None else self.pca_.n_components_
        suffixes = [""] * self.absolute + ["_relative"] * self.relative
        return np.array([f"{self.column}_{i}{suffix}" for suffix in suffixes for i in range(n)], dtype=object)


class Agreement(TransformerMixin, BaseEstimator):
    """How well each option's embedding agrees with its image's: cosine, and the products of the coordinates.

    Parameters
    ----------
    image, text : str
        Array columns of one common space, e.g. CLIP's. Where the text arrays are longer, the first
        coordinates count.
    n_components : int
        PCA components of the coordinate products.
    sharpness : float
        Factor on the cosine before the softmax over siblings (CLIP's own logit scale is about 100).
    seed : int
        Seed of the randomised PCA.
    """

    def __init__(
        self,
        *,
        image: str = "clip_image",
        text: str = "clip_text",
        n_components: int = 16,
        sharpness: float = 30.0,
        seed: int = 0,
    ) -> None:
        self.image = image
        self.text = text
        self.n_components = n_components
        self.sharpness = sharpness
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn the directions of the products; labels are not used."""
        self.width_ = min(array_width(X, self.image), array_width(X, self.text))
        products = self._products(X)
        relative = Siblings(X["question_id"].to_numpy()).centred(products).astype(np.float32)
        self.pca_ = _fit_pca(relative, self.n_components, self.seed)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the cosine, its forms relative to the siblings, and the reduced products."""
        siblings = Siblings(X["question_id"].to_numpy())
        products = self._products(X)
        cosine = products.sum(axis=1).astype(np.float64)
        columns = np.stack(
            [
                cosine,
                siblings.centred(cosine),
                siblings.margin(cosine),
                siblings.rank(cosine),
                siblings.softmax(cosine * self.sharpness),
            ],
            axis=1,
        )
        reduced = _reduce(self.pca_, siblings.centred(products).astype(np.float32))
        return np.hstack([columns.astype(np.float32), reduced])

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the features of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        n = self.width_ if self.pca_ is None else self.pca_.n_components_
        what = ["cosine", "cosine_relative", "cosine_margin", "cosine_rank", "cosine_prob"]
        return np.array(what + [f"product_{i}" for i in range(n)], dtype=object)

    def _products(self, X: pd.DataFrame) -> NDArray[np.float32]:
        image = arrays_of(X, self.image, array_width(X, self.image) or self.width_)[:, : self.width_]
        text = arrays_of(X, self.text, array_width(X, self.text) or self.width_)[:, : self.width_]
        return _unit(image) * _unit(text)


class OptionScores(TransformerMixin, BaseEstimator):
    """Scores of each option set against its siblings: as they are, probability, margin, rank.

    Parameters
    ----------
    columns : tuple of str
        Array columns; every coordinate is a score of its own.
    skip : tuple of int
        Coordinates to leave out, e.g. the number of tokens, which is a text length.
    """

    def __init__(self, *, columns: tuple[str, ...] = ("option_logprob",), skip: tuple[int, ...] = ()) -> None:
        self.columns = columns
        self.skip = skip

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Remember the widths; nothing else is learned."""
        self.widths_ = [array_width(X, column) for column in self.columns]
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the scores, (n_rows, n_features)."""
        siblings = Siblings(X["question_id"].to_numpy())
        parts = []
        for column, width in zip(self.columns, self.widths_, strict=True):
            for index, score in enumerate(arrays_of(X, column, width).astype(np.float64).T):
                if index not in self.skip:
                    parts += [score, siblings.softmax(score), siblings.margin(score), siblings.rank(score)]
        return np.stack(parts, axis=1).astype(np.float32)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the scores of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        names = [
            f"{column}_{index}"
            for column, width in zip(self.columns, self.widths_, strict=True)
            for index in range(width)
            if index not in self.skip
        ]
        return np.array(
            [f"{name}{form}" for name in names for form in ("", "_prob", "_margin", "_rank")], dtype=object
        )


def array_width(X: pd.DataFrame, column: str) -> int:
    """Return the length of a column's arrays; 0 if all are missing."""
    for value in X[column]:
        if not _absent(value):
            return int(np.size(value))
    return 0


def arrays_of(X: pd.DataFrame, column: str, width: int) -> NDArray[np.float32]:
    """Return a column of arrays as a matrix, (n_rows, width), NaN where missing.

    Raises
    ------
    ValueError
        If an array has another length.
    """
    matrix = np.full((len(X), width), np.nan, dtype=np.float32)
    for row, value in enumerate(X[column]):
        if _absent(value):
            continue
        if np.size(value) != width:
            raise ValueError(
                f"column {column}, row {row}: got an array of length {np.size(value)}, expected {width}"
            )
        matrix[row] = np.ravel(value)
    return matrix


def _absent(value: object) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _fit_pca(values: NDArray[np.float32], n_components: int, seed: int) -> PCA | None:
    """Return the fitted PCA, or None where there is nothing to reduce."""
    known = values[np.isfinite(values).all(axis=1)]
    if values.shape[1] <= n_components or len(known) <= n_components:
        return None
    if len(known) > _MAX_FIT_ROWS:
        known = known[np.sort(np.random.default_rng(seed).choice(len(known), _MAX_FIT_ROWS, replace=False))]
    return PCA(
        n_components,
        svd_solver="covariance_eigh" if values.shape[1] <= 1024 else "randomized",
        random_state=seed,
    ).fit(known)


def _reduce(pca: PCA | None, values: NDArray[np.float32]) -> NDArray[np.float32]:
    if pca is None:
        return values
    known = np.isfinite(values).all(axis=1)
    reduced = np.full((len(values), pca.n_components_), np.nan, dtype=np.float32)
    if known.any():
        # In float64, so that a row's value, rounded to float32, does not depend on its place in the batch: a
        # threshold of a tree may lie between two roundings.
        reduced[known] = pca.transform(values[known].astype(np.float64))
    return reduced


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(
        values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12), dtype=np.float32
    )
