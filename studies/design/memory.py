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

from llava_core.data.families import question_stem
from studies.design.hashed import text_keys
from studies.design.siblings import Siblings
from studies.design.wording import normalised, texts_of

KEYS = ("option", "stem", "question", "offer", "picture", "picture_stem")
"""Same kind of question: any; stem; whole text; set of options; caption and OCR; those and the stem."""

Keep = Literal["family", "question"]

_NO_KEY = 0


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
        weights = _weights(X, y)
        self.known_: dict[str, NDArray[np.int64]] = {}
        self.counts_: dict[str, NDArray[np.float64]] = {}
        for key, wanted in row_keys(X, self.keys).items():
            self.known_[key], codes = np.unique(wanted, return_inverse=True)
            self.counts_[key] = _sums(codes, weights, len(self.known_[key]))
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features of rows that were not learned from, (n_rows, n_features)."""
        counts = []
        for key, wanted in row_keys(X, self.keys).items():
            known = self.known_[key]
            place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
            met = (known[place] == wanted) & (wanted != _NO_KEY)
            counts.append(np.where(met[:, None], self.counts_[key][place], 0.0))
        return self._features(X, counts)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Learn the counts and return the features of the same rows, each from the other memory folds."""
        self.fit(X, y)
        weights = _weights(X, y)
        fold = memory_folds(X, groups, keep=self.keep, n_folds=self.n_folds, seed=self.seed)
        counts = []
        for key, wanted in row_keys(X, self.keys).items():
            codes = np.searchsorted(self.known_[key], wanted)
            within = codes * self.n_folds + fold
            own = _sums(within, weights, len(self.known_[key]) * self.n_folds)[within]
            others = np.maximum(self.counts_[key][codes] - own, 0.0)
            counts.append(np.where((wanted != _NO_KEY)[:, None], others, 0.0))
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


def row_keys(X: pd.DataFrame, names: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Return, per name, a key of (kind of question, option) for each row; 0 where the kind is unknown.

    Raises
    ------
    ValueError
        If a name is none of `KEYS`.
    """
    unknown = [name for name in names if name not in KEYS]
    if unknown:
        raise ValueError(f"got the memory key {unknown[0]!r}, allowed are {', '.join(KEYS)}")
    siblings = Siblings(X["question_id"].to_numpy())
    options = np.array([normalised(text) or text for text in texts_of(X, "option")], dtype=object)
    per_question = X.iloc[siblings.first]
    questions = [normalised(text) for text in texts_of(per_question, "question")]
    stems = [question_stem(text) for text in texts_of(per_question, "question")]
    offers: list[list[str]] = [[] for _ in questions]
    for code, option in zip(siblings.codes, options, strict=True):
        offers[code].append(option)
    pictures = [
        normalised(f"{caption} {ocr}")
        for caption, ocr in zip(texts_of(per_question, "caption"), texts_of(per_question, "ocr"), strict=True)
    ]
    kinds = {
        "option": ["" for _ in questions],
        "stem": stems,
        "question": questions,
        "offer": ["|".join(sorted(offer)) for offer in offers],
        "picture": pictures,
        "picture_stem": [f"{picture}|{text}" for picture, text in zip(pictures, stems, strict=True)],
    }
    blank = np.array([not picture for picture in pictures])[siblings.codes]
    keys = {}
    for name in names:
        texts = [
            f"{kinds[name][code]}\x1f{option}" for code, option in zip(siblings.codes, options, strict=True)
        ]
        keys[name] = text_keys(texts)
        if name.startswith("picture"):
            # Without any text of the picture there is nothing to recognise it by.
            keys[name] = np.where(blank, _NO_KEY, keys[name])
    return keys


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


def _weights(X: pd.DataFrame, y: ArrayLike) -> NDArray[np.float64]:
    """Return right, right by guessing, and seen, per row: (n_rows, 3)."""
    guessed = 1.0 / X["n_options"].to_numpy(dtype=np.float64)
    return np.stack([np.asarray(y, dtype=np.float64), guessed, np.ones(len(X))], axis=1)


def _sums(codes: NDArray[np.int64], weights: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(codes, column, minlength=n) for column in weights.T], axis=1)
