"""llm_answer: what published models answered, as columns of an option.

Per file: whether this option was chosen (0 or 1; NaN where nothing was parsed), and how much the generated
rationale speaks of the option (share of its words that the text has, relative to the siblings). Over the
files: votes for the option, its share of the votes given, and its lead over the best other option. Guessed
answers come in as NaN (see `studies.design.table`), so they never vote.
"""

from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from studies.design.siblings import Siblings
from studies.design.texts import Overlap

CHOSEN, TEXT = "chosen:", "text:"
"""Prefixes of the raw columns of one file."""


class PublishedAnswerFeatures(TransformerMixin, BaseEstimator):
    """Votes, agreement and rationales of published answers.

    Parameters
    ----------
    rationales : bool
        Whether the generated texts are looked at.
    """

    def __init__(self, *, rationales: bool = True) -> None:
        self.rationales = rationales

    def fit(self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None) -> Self:
        """Remember the files; learn how rare words are in the rationales. Labels are not used."""
        self.files_ = [name.removeprefix(CHOSEN) for name in X.columns if name.startswith(CHOSEN)]
        self.overlap_ = None
        if self.rationales:
            self.overlap_ = Overlap(sources=tuple(TEXT + name for name in self.files_), siblings=False).fit(X)
        return self

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return the features, (n_rows, n_features)."""
        siblings = Siblings(X["question_id"].to_numpy())
        chosen = X[[CHOSEN + name for name in self.files_]].to_numpy(dtype=np.float64)
        votes = np.nansum(chosen, axis=1)
        given = np.isfinite(chosen).sum(axis=1)
        share = votes / np.maximum(given, 1)
        own = [votes, share, siblings.margin(votes), given.astype(np.float64)]
        parts = [np.nan_to_num(chosen, nan=-1.0), np.stack(own, axis=1)]
        if self.overlap_ is not None:
            parts.append(self.overlap_.transform(X))
        return np.hstack(parts).astype(np.float32)

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Fit, and return the features of the same rows."""
        return self.fit(X).transform(X)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return the names of the features."""
        names = [CHOSEN + name for name in self.files_] + ["votes", "vote_share", "vote_lead", "n_answers"]
        if self.overlap_ is not None:
            names += self.overlap_.get_feature_names_out().tolist()
        return np.array(names, dtype=object)
