"""From the raw design table to a matrix of numbers, learned inside each fold.

`fit_transform` gives the training rows features that could have been made without their own labels;
`transform` gives other rows features made from all training rows. The two are therefore not the same for
the same rows, on purpose.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from studies.design.answers import CHOSEN, TEXT, PublishedAnswerFeatures
from studies.design.embeddings import Agreement, OptionScores, ReducedArray
from studies.design.memory import Keep, TextMemory
from studies.design.neighbours import NeighbourMemory
from studies.design.plain import PlainColumns
from studies.design.texts import Overlap, TextTopics

N_TOKENS = 2
"""Coordinate of option_logprob that holds the number of tokens: a text length, never a feature."""

BLOCKS = (
    "structure",
    "question_text",
    "option_text",
    "overlap",
    "text_memory",
    "clip_image",
    "clip_text",
    "clip_similarity",
    "projector",
    "llm_hidden",
    "option_logprob",
    "llm_answer",
    "embeddings",
)
"""Blocks that the encoder knows by name; any other block of the table is passed on as plain numbers."""


class DesignEncoder(TransformerMixin, BaseEstimator):
    """Feature matrix of option rows, by block.

    Parameters
    ----------
    blocks : sequence of str, optional
        Blocks to use, in this order; None for every block that the columns allow.
    memory_keep : {"family", "question"}
        Whether training rows remember other questions of their own family: "family" where the model will
        meet unseen families, "question" where evaluation rows come from the same families (an official
        split).
    topics : int
        SVD components of question_text and of option_text.
    components : int
        PCA components of each array block.
    memory_folds : int
        Folds within the training rows that memory is learned on.
    seed : int
        Seed of memory folds and of randomised decompositions.

    Attributes
    ----------
    parts_ : dict of str to list
        Fitted transformers of each block.
    feature_blocks_ : list of str
        Block of each feature.
    """

    def __init__(
        self,
        *,
        blocks: Sequence[str] | None = None,
        memory_keep: Keep = "family",
        topics: int = 16,
        components: int = 16,
        memory_folds: int = 10,
        seed: int = 0,
    ) -> None:
        self.blocks = blocks
        self.memory_keep = memory_keep
        self.topics = topics
        self.components = components
        self.memory_folds = memory_folds
        self.seed = seed

    def fit(self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None) -> Self:
        """Learn every block from the training rows (see `fit_transform`)."""
        self.fit_transform(X, y, groups)
        return self

    def fit_transform(
        self, X: pd.DataFrame, y: ArrayLike, groups: ArrayLike | None = None
    ) -> NDArray[np.float32]:
        """Learn every block, and return honest features of the same rows.

        Parameters
        ----------
        X : DataFrame, shape (n_rows, n_columns)
            As in `OptionTable.frame`; all options of a question.
        y : array of int, shape (n_rows,)
            1 where the option is right, 0 where not.
        groups : array of int, shape (n_rows,)
            Family of each row; needed where memory keeps families together.

        Returns
        -------
        ndarray of float32, shape (n_rows, n_features)

        Raises
        ------
        ValueError
            If a label is neither 0 nor 1, or a block lacks its columns.
        """
        labels = np.asarray(y)
        if not np.isin(labels, (0, 1)).all():
            raise ValueError(
                f"got the labels {np.unique(labels).tolist()}, expected 0 and 1 (no unlabelled rows)"
            )
        names = list(self.blocks) if self.blocks is not None else available_blocks(X)
        self.parts_: dict[str, list[Any]] = {}
        matrices = []
        for name in names:
            self.parts_[name] = self._parts(name, X)
            matrices += [part.fit_transform(X, labels, groups=groups) for part in self.parts_[name]]
        self.feature_blocks_ = [
            name
            for name, parts in self.parts_.items()
            for part in parts
            for _ in part.get_feature_names_out()
        ]
        self.feature_names_ = [
            f"{name}:{feature}"
            for name, parts in self.parts_.items()
            for part in parts
            for feature in part.get_feature_names_out()
        ]
        self.n_features_out_ = len(self.feature_names_)
        return np.hstack(matrices).astype(np.float32)

    def transform(self, X: pd.DataFrame) -> NDArray[np.float32]:
        """Return features of rows that were not learned from, made from all training rows."""
        matrices = [part.transform(X) for parts in self.parts_.values() for part in parts]
        return np.hstack(matrices).astype(np.float32)

    def get_feature_names_out(self, input_features: object = None) -> NDArray[Any]:
        """Return ``block:feature`` for every feature."""
        return np.array(self.feature_names_, dtype=object)

    def columns_of(self, blocks: Sequence[str]) -> NDArray[np.int64]:
        """Return the positions of the features of some blocks, for ablations."""
        return np.flatnonzero(np.isin(self.feature_blocks_, list(blocks)))

    def _parts(self, name: str, X: pd.DataFrame) -> list[Any]:
        n, seed = self.components, self.seed
        keep, folds = self.memory_keep, self.memory_folds
        sources = ("question", "hint", "caption", "ocr")
        makers: Mapping[str, Any] = {
            "structure": lambda: [PlainColumns(columns=("n_options", "has_image"))],
            "question_text": lambda: [TextTopics(columns=("question",), n_components=self.topics, seed=seed)],
            "option_text": lambda: [TextTopics(columns=("option",), n_components=self.topics, seed=seed)],
            "overlap": lambda: [Overlap(sources=sources)],
            "text_memory": lambda: [
                TextMemory(keep=keep, n_folds=folds, seed=seed),
                NeighbourMemory(keep=keep, n_folds=folds, seed=seed),
            ],
            "clip_image": lambda: [ReducedArray(column="clip_image", n_components=n, seed=seed)],
            "clip_text": lambda: [ReducedArray(column="clip_text", n_components=n, relative=True, seed=seed)],
            "clip_similarity": lambda: [Agreement(n_components=n, seed=seed)],
            "projector": lambda: [ReducedArray(column="projector", n_components=n, seed=seed)],
            "llm_hidden": lambda: [
                ReducedArray(column="llm_hidden", n_components=n, relative=True, absolute=False, seed=seed)
            ],
            "option_logprob": lambda: [OptionScores(skip=(N_TOKENS,))],
            "llm_answer": lambda: [PublishedAnswerFeatures()],
            "embeddings": lambda: [
                ReducedArray(column=column, n_components=n, relative=True, seed=seed)
                for column in X.columns
                if column.startswith("embeddings:")
            ],
        }
        if name in makers:
            needs = _NEEDS.get(name, ())
            lacking = [column for column in needs if column not in X.columns]
            if lacking:
                raise ValueError(
                    f"block {name} needs the columns {', '.join(lacking)}, which the table lacks"
                )
            return list(makers[name]())
        columns = tuple(column for column in X.columns if column.startswith(f"{name}:"))
        if not columns:
            raise ValueError(f"got the block {name!r}; the table allows {', '.join(available_blocks(X))}")
        return [PlainColumns(columns=columns, relative=True)]


_NEEDS: Mapping[str, Sequence[str]] = {
    "clip_image": ("clip_image",),
    "clip_text": ("clip_text",),
    "clip_similarity": ("clip_image", "clip_text"),
    "projector": ("projector",),
    "llm_hidden": ("llm_hidden",),
    "option_logprob": ("option_logprob",),
}


def available_blocks(X: pd.DataFrame) -> list[str]:
    """Return the blocks that a table allows, in the order of `BLOCKS`, then the caller's own."""
    names = list(X.columns)
    prefixes = list(dict.fromkeys(name.split(":")[0] for name in names if ":" in name))
    held = {
        "llm_answer": any(name.startswith(CHOSEN) for name in names),
        "embeddings": "embeddings" in prefixes,
        **{block: all(column in names for column in needs) for block, needs in _NEEDS.items()},
    }
    own = [prefix for prefix in prefixes if prefix not in ("embeddings", CHOSEN[:-1], TEXT[:-1])]
    return [name for name in BLOCKS if held.get(name, True)] + own
