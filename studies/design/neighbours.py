"""text_memory, fuzzy part: what was right in the most similar training questions.

Each question is compared with the training questions (cosine of TF-IDF vectors over words), and each of its
options with the right and the wrong options of the nearest ones (cosine over words and character n-grams).
The feature is the similarity-weighted mean of (likeness to what was right there - likeness to the most
alike wrong option there). Rows of training questions take their neighbours from other memory folds than
their own (see `studies.design.memory`).

Left out: learning the metric. The views below are fixed combinations of the texts.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from studies.design.hashed import HashedTfIdf
from studies.design.memory import Keep, memory_folds
from studies.design.siblings import Siblings
from studies.design.wording import texts_of

VIEWS: dict[str, tuple[str, ...]] = {
    "question": ("question",),
    "picture": ("question", "caption", "ocr"),
    "offer": ("question", "offer"),
}
"""Which texts make two questions similar; ``offer`` is all options together."""

_CHUNK = 512


class NeighbourMemory(TransformerMixin, BaseEstimator):
    """Likeness of each option to what was right in similar training questions.

    Parameters
    ----------
    views : sequence of str
        From `VIEWS`.
    n_neighbours : int
        Training questions that vote.
    sharpness : float
        Power of the similarity in the vote's weight.
    keep : {"family", "question"}
        What a memory fold keeps together.
    n_folds : int
        Memory folds of the training rows.
    seed : int
        Seed of the assignment to folds.
    """

    def __init__(
        self,
        *,
        views: tuple[str, ...] = tuple(VIEWS),
        n_neighbours: int = 15,
        sharpness: float = 4.0,
        keep: Keep = "family",
        n_folds: int = 10,
        seed: int = 0,
    ) -> None:
        self.views = views
        self.n_neighbours = n_neighbours
        self.sharpness = sharpness
        self.keep = keep
        self.n_folds = n_folds
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Keep the training questions' texts and what was right in them.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_columns)
            As in `OptionTable.frame`.
        y : array of int, shape (n_rows,)
            1 where the option is right.
        groups : ignored
        """
        siblings = Siblings(X["question_id"].to_numpy())
        right = np.asarray(y) == 1
        options = texts_of(X, "option")
        self.option_words_ = HashedTfIdf().fit(options)
        self.option_grams_ = HashedTfIdf(grams=(2, 4)).fit(options)
        vectors = self._option_vectors(options)
        shape = (siblings.n_questions, len(options))
        n_wrong = np.maximum(np.bincount(siblings.codes, ~right, minlength=siblings.n_questions), 1)
        rows = np.arange(len(options))
        self.right_ = _pick(right.astype(np.float32), siblings.codes, rows, shape) @ vectors
        wrong = np.where(right, 0.0, 1.0 / n_wrong[siblings.codes]).astype(np.float32)
        self.wrong_ = _pick(wrong, siblings.codes, rows, shape) @ vectors
        self.question_vectorizers_ = {}
        self.question_vectors_ = {}
        for view in self.views:
            texts = _view_texts(X, siblings, view)
            self.question_vectorizers_[view] = HashedTfIdf().fit(texts)
            self.question_vectors_[view] = self.question_vectorizers_[view].transform(texts)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of rows that were not learned from, (n_rows, n_features)."""
        return self._features(X, own_fold=None, training_fold=None)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the features of the same rows, each from the other memory folds."""
        self.fit(X, y)
        fold = memory_folds(X, groups, keep=self.keep, n_folds=self.n_folds, seed=self.seed)
        per_question = fold[Siblings(X["question_id"].to_numpy()).first]
        return self._features(X, own_fold=per_question, training_fold=per_question)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        what = ("like_right", "like_right_margin", "like_wrong", "lead", "lead_margin", "nearest")
        return np.array([f"{view}_{name}" for view in self.views for name in what], dtype=object)

    def _features(
        self, X: pd.DataFrame, *, own_fold: NDArray[np.int64] | None, training_fold: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        siblings = Siblings(X["question_id"].to_numpy())
        vectors = self._option_vectors(texts_of(X, "option"))
        columns: list[NDArray[Any]] = []
        for view in self.views:
            queries = self.question_vectorizers_[view].transform(_view_texts(X, siblings, view))
            weights, nearest = self._weights(queries, self.question_vectors_[view], own_fold, training_fold)
            right = _row_products(vectors, (weights @ self.right_)[siblings.codes])
            wrong = _row_products(vectors, (weights @ self.wrong_)[siblings.codes])
            lead = right - wrong
            columns += [
                right,
                siblings.margin(right),
                wrong,
                lead,
                siblings.margin(lead),
                nearest[siblings.codes],
            ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _option_vectors(self, options: list[str]) -> sparse.csr_matrix:
        both = [self.option_words_.transform(options), self.option_grams_.transform(options)]
        return sparse.hstack(both, format="csr") * np.float32(np.sqrt(0.5))

    def _weights(
        self,
        queries: sparse.csr_matrix,
        known: sparse.csr_matrix,
        own_fold: NDArray[np.int64] | None,
        training_fold: NDArray[np.int64] | None,
    ) -> tuple[sparse.csr_matrix, NDArray[np.float32]]:
        """Return the votes of the nearest training questions (sum 1 or none), and the best similarity."""
        n_queries, n_known = queries.shape[0], known.shape[0]
        k = min(self.n_neighbours, n_known)
        data, index = np.zeros((n_queries, k), np.float32), np.zeros((n_queries, k), np.int64)
        transposed = known.T.tocsr()
        for start in range(0, n_queries, _CHUNK):
            stop = min(start + _CHUNK, n_queries)
            similarity = (queries[start:stop] @ transposed).toarray()
            if own_fold is not None and training_fold is not None:
                similarity[own_fold[start:stop, None] == training_fold[None, :]] = 0.0
            best = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
            index[start:stop] = best
            data[start:stop] = np.take_along_axis(similarity, best, axis=1)
        nearest = data.max(axis=1)
        votes = data**self.sharpness
        votes /= np.maximum(votes.sum(axis=1, keepdims=True), np.float32(1e-12))
        rows = np.repeat(np.arange(n_queries), k)
        return sparse.csr_matrix((votes.ravel(), (rows, index.ravel())), shape=(n_queries, n_known)), nearest


def _view_texts(X: pd.DataFrame, siblings: Siblings, view: str) -> list[str]:
    """Return one text per question."""
    if view not in VIEWS:
        raise ValueError(f"got the view {view!r}, allowed are {', '.join(VIEWS)}")
    parts = []
    for column in VIEWS[view]:
        if column == "offer":
            offers: list[list[str]] = [[] for _ in range(siblings.n_questions)]
            for code, option in zip(siblings.codes, texts_of(X, "option"), strict=True):
                offers[code].append(option)
            parts.append([" ".join(sorted(offer)) for offer in offers])
        else:
            parts.append(texts_of(X.iloc[siblings.first], column))
    return [" ".join(texts) for texts in zip(*parts, strict=True)]


def _pick(
    values: NDArray[np.float32], rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]
) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix((values, (rows, columns)), shape=shape)
    matrix.eliminate_zeros()
    return matrix


def _row_products(left: sparse.csr_matrix, right: sparse.csr_matrix) -> NDArray[np.float64]:
    return np.asarray(left.multiply(right).sum(axis=1), dtype=np.float64).ravel()
