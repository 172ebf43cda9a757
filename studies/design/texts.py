"""question_text, option_text and overlap: what the words say, before any label is looked at.

Topics are TF-IDF vectors reduced by a truncated SVD fitted on the training rows. Overlaps say how much of
an option is found in another text of its question. No length of any text is a feature: lengths are
fingerprints of the template a question was made from.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import TruncatedSVD

from studies.design.hashed import HashedTfIdf
from studies.design.siblings import Siblings
from studies.design.wording import distinct, normalised, texts_of


class TextTopics(TransformerMixin, BaseEstimator):
    """SVD of the TF-IDF vectors of one or more text columns, joined.

    Parameters
    ----------
    columns : tuple of str
        Text columns to join.
    n_components : int
        At most; fewer where the vocabulary is smaller.
    relative : bool
        Whether the mean over the question's options is taken off.
    seed : int
        Seed of the randomised SVD.
    """

    def __init__(
        self, *, columns: tuple[str, ...], n_components: int = 24, relative: bool = False, seed: int = 0
    ) -> None:
        self.columns = columns
        self.n_components = n_components
        self.relative = relative
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn vocabulary and topics from the distinct texts; labels are not used."""
        unique, _ = distinct(self._texts(X))
        self.vectorizer_ = HashedTfIdf().fit(unique)
        vectors = self.vectorizer_.transform(unique)
        self.n_components_ = max(1, min(self.n_components, len(unique) - 1, vectors.nnz - 1))
        self.directions_ = np.zeros((self.n_components_, vectors.shape[1]), np.float32)
        if len(unique) > self.n_components_ and vectors.nnz > self.n_components_:
            svd = TruncatedSVD(self.n_components_, random_state=self.seed, n_iter=4).fit(vectors)
            self.directions_ = svd.components_.astype(np.float32)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the topics, (n_rows, n_components_)."""
        unique, place = distinct(self._texts(X))
        topics = (self.vectorizer_.transform(unique) @ self.directions_.T)[place]
        if self.relative:
            topics = Siblings(X["question_id"].to_numpy()).centred(topics)
        return np.asarray(topics, dtype=np.float32)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the topics of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        return np.array([f"{'_'.join(self.columns)}_{i}" for i in range(self.n_components_)], dtype=object)

    def _texts(self, X: pd.DataFrame) -> list[str]:
        return [
            " ".join(parts) for parts in zip(*(texts_of(X, column) for column in self.columns), strict=True)
        ]


class Overlap(TransformerMixin, BaseEstimator):
    """How much of each option is found in the other texts of its question, and in the other options.

    Per source: the share of the option's words in it, weighted by rarity; the cosine over character
    n-grams; whether the whole option occurs in it. Each as it is and relative to the siblings. NaN where
    the source is unknown.

    Parameters
    ----------
    sources : tuple of str
        Text columns to look in.
    siblings : bool
        Whether the option's mean likeness to the other options is added.
    """

    def __init__(
        self, *, sources: tuple[str, ...] = ("question", "hint", "caption", "ocr"), siblings: bool = True
    ) -> None:
        self.sources = sources
        self.siblings = siblings

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Learn how rare words and n-grams are; labels are not used."""
        texts = [text for column in (*self.sources, "option") for text in texts_of(X, column)]
        self.words_ = HashedTfIdf(binary=True, unit=False).fit(texts)
        self.grams_ = HashedTfIdf(grams=(3, 4)).fit(texts)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the overlaps, (n_rows, n_features)."""
        siblings = Siblings(X["question_id"].to_numpy())
        options = texts_of(X, "option")
        words, grams = self.words_.transform(options), self.grams_.transform(options)
        plain_options = [normalised(text) for text in options]
        weight = np.asarray(words.sum(axis=1), dtype=np.float64).ravel()
        columns = []
        for source in self.sources:
            texts = texts_of(X, source)
            unknown = np.array([not text for text in texts])
            known = self.words_.columns_in(texts)
            share = np.asarray(words.multiply(known).sum(axis=1)).ravel() / np.where(weight > 0, weight, 1.0)
            cosine = np.asarray(grams.multiply(self.grams_.transform(texts)).sum(axis=1)).ravel()
            unique, place = distinct(texts)
            plain = [f" {normalised(text)} " for text in unique]
            whole = np.array(
                [float(f" {option} " in plain[at]) for option, at in zip(plain_options, place, strict=True)]
            )
            for values in (share, cosine, whole):
                absent = np.where(unknown, np.nan, values)
                columns += [absent, siblings.centred(absent)]
        if self.siblings:
            likeness = _likeness_to_siblings(grams, siblings)
            columns += [likeness, siblings.centred(likeness)]
        return np.stack(columns, axis=1).astype(np.float32)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the overlaps of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        names = [f"{source}_{what}" for source in self.sources for what in ("share", "cosine", "whole")]
        names += ["options"] * self.siblings
        return np.array([f"{name}{suffix}" for name in names for suffix in ("", "_relative")], dtype=object)


def _likeness_to_siblings(grams: sparse.csr_matrix, siblings: Siblings) -> NDArray[np.float64]:
    """Return the mean cosine of each option with the others of its question."""
    # In float64, or the order of the options shows in the last bits, and a tree may split on those.
    grams, n_rows = grams.astype(np.float64), grams.shape[0]
    pick = sparse.csr_matrix(
        (np.ones(n_rows), (siblings.codes, np.arange(n_rows))),
        shape=(siblings.n_questions, n_rows),
    )
    total = (pick @ grams)[siblings.codes]
    rivals = np.bincount(siblings.codes)[siblings.codes] - 1
    own = np.asarray(grams.multiply(grams).sum(axis=1)).ravel()
    likeness = (np.asarray(grams.multiply(total).sum(axis=1)).ravel() - own) / np.maximum(rivals, 1)
    return np.asarray(likeness, dtype=np.float64)
