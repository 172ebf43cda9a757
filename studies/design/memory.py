"""text_memory, exact part: how often an option was right before, in kinds of question from broad to narrow.

For each key (below) the memory holds, over the training questions, how often the option text was offered
(``seen``), how often it was right, and how often it would have been right by guessing (the sum of 1 /
number of options). The feature is the log of right over guessed, both smoothed: 0 for a text never seen,
whatever the number of options.

A training row must not read its own answer. Its counts come from other folds than its own; folds keep
together

- ``"family"``: all questions of a family, so that training rows look like rows of unseen families, or
- ``"question"``: only the question itself, so that they look like rows of an official split that shares
  families
  with its training part (about four in five of ScienceQA's image questions do).

Folds rather than leave-one-out: with leave-one-out the count of a key falls by one exactly where the row is
right, and a tree that recognises the key reads the answer off that step.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from studies.design.siblings import Siblings
from studies.design.wording import normalised, stem, texts_of

KEYS = ("option", "stem", "question", "offer", "picture", "picture_stem")
"""Same kind of question: any; stem; whole text; set of options; caption and OCR; those and the stem."""

Keep = Literal["family", "question"]


class TextMemory(TransformerMixin, BaseEstimator):
    """Smoothed log rates of how often an option was right, per key.

    Parameters
    ----------
    keys : sequence of str
        From `KEYS`.
    keep : {"family", "question"}
        What a memory fold keeps together (module docstring).
    n_folds : int
        Memory folds of the training rows.
    smoothing : float
        Pseudo-count added to right and guessed alike.
    seed : int
        Seed of the assignment to folds.
    """

    def __init__(
        self,
        *,
        keys: Sequence[str] = KEYS,
        keep: Keep = "family",
        n_folds: int = 10,
        smoothing: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.keys = keys
        self.keep = keep
        self.n_folds = n_folds
        self.smoothing = smoothing
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn the counts of all rows.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_columns)
            As in `OptionTable.frame`.
        y : array of int, shape (n_rows,)
            1 where the option is right.
        groups : ignored
        """
        right, guessed = np.asarray(y, dtype=np.float64), _guessed(X)
        self.counts_: dict[str, dict[str, list[float]]] = {}
        for key in self.keys:
            names, codes = np.unique(key_texts(X, key), return_inverse=True)
            n = len(names)
            sums = np.stack(
                [
                    np.bincount(codes, weights, minlength=n)
                    for weights in (right, guessed, np.ones(len(codes)))
                ],
                axis=1,
            )
            self.counts_[key] = dict(zip(names.tolist(), sums.tolist(), strict=True))
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of rows that were not learned from, (n_rows, n_features)."""
        unseen = [0.0, 0.0, 0.0]
        counts = [
            np.array(
                [self.counts_[key].get(text, unseen) for text in key_texts(X, key)], dtype=np.float64
            ).reshape(-1, 3)
            for key in self.keys
        ]
        return self._features(X, counts)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Learn the counts and return the features of the same rows, each from the other memory folds."""
        self.fit(X, y)
        right, guessed = np.asarray(y, dtype=np.float64), _guessed(X)
        fold = memory_folds(X, groups, keep=self.keep, n_folds=self.n_folds, seed=self.seed)
        counts = []
        for key in self.keys:
            _, codes = np.unique(key_texts(X, key), return_inverse=True)
            n, within = int(codes.max()) + 1, codes * self.n_folds + fold
            columns = []
            for weights in (right, guessed, np.ones(len(codes))):
                total = np.bincount(codes, weights, minlength=n)
                own = np.bincount(within, weights, minlength=n * self.n_folds)
                columns.append(np.maximum(total[codes] - own[within], 0.0))
            counts.append(np.stack(columns, axis=1))
        return self._features(X, counts)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        return np.array(
            [f"{key}_{what}" for key in self.keys for what in ("lift", "lift_margin", "seen")], dtype=object
        )

    def _features(self, X: pd.DataFrame, counts: Sequence[NDArray[np.float64]]) -> NDArray[np.float32]:
        siblings = Siblings(X["question_id"].to_numpy())
        columns = []
        for right, guessed, seen in (count.T for count in counts):
            lift = np.log((right + self.smoothing) / (guessed + self.smoothing))
            columns += [lift, siblings.margin(lift), np.log1p(seen)]
        return np.stack(columns, axis=1).astype(np.float32)


def key_texts(X: pd.DataFrame, key: str) -> NDArray[Any]:
    """Return the text that identifies (kind of question, option) for each row.

    Raises
    ------
    ValueError
        If the key is none of `KEYS`.
    """
    options = np.array([normalised(text) or text for text in texts_of(X, "option")], dtype=object)
    if key == "option":
        context = np.full(len(X), "", dtype=object)
    elif key == "stem":
        context = np.array([stem(text) for text in texts_of(X, "question")], dtype=object)
    elif key == "question":
        context = np.array([normalised(text) for text in texts_of(X, "question")], dtype=object)
    elif key == "offer":
        codes = Siblings(X["question_id"].to_numpy()).codes
        offers: list[list[str]] = [[] for _ in range(int(codes.max(initial=-1)) + 1)]
        for code, option in zip(codes, options, strict=True):
            offers[code].append(option)
        context = np.array(["|".join(sorted(offer)) for offer in offers], dtype=object)[codes]
    elif key in ("picture", "picture_stem"):
        pictures = [
            normalised(f"{caption} {ocr}")
            for caption, ocr in zip(texts_of(X, "caption"), texts_of(X, "ocr"), strict=True)
        ]
        # Rows without any picture text have nothing to remember a picture by: each gets a context of its own.
        blank = [picture or f"\x00{row}" for row, picture in enumerate(pictures)]
        stems = texts_of(X, "question") if key == "picture_stem" else [""] * len(X)
        context = np.array(
            [f"{text}|{stem(question)}" for text, question in zip(blank, stems, strict=True)], dtype=object
        )
    else:
        raise ValueError(f"got the memory key {key!r}, allowed are {', '.join(KEYS)}")
    return np.array(
        [f"{where}\x1f{option}" for where, option in zip(context, options, strict=True)], dtype=object
    )


def memory_folds(
    X: pd.DataFrame, groups: ArrayLike | None, *, keep: Keep, n_folds: int, seed: int
) -> NDArray[np.int64]:
    """Return the memory fold of each row, (n_rows,), in 0 to ``n_folds - 1``.

    Raises
    ------
    ValueError
        If families are to be kept together and none are given.
    """
    if keep == "family" and groups is None:
        raise ValueError("got no groups; memory that keeps families together needs the family of each row")
    unit = np.asarray(groups) if keep == "family" else X["question_id"].to_numpy()
    _, codes = np.unique(unit, return_inverse=True)
    n_units = int(codes.max()) + 1
    shuffled = np.random.default_rng(seed).permutation(n_units) % n_folds
    return np.asarray(shuffled[codes], dtype=np.int64)


def _guessed(X: pd.DataFrame) -> NDArray[np.float64]:
    return 1.0 / X["n_options"].to_numpy(dtype=np.float64)
