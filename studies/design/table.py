"""The raw design table: one row per (question, option), before anything is learned.

Texts stay texts and stored embeddings stay arrays; `studies.design.encoder.DesignEncoder` turns the table
into numbers inside each fold. Left out on purpose: ids, option letters or slots, lectures and solutions
(they hold the answer and are absent at test time), and the metadata fields, which are missing for most real
rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.example import Example

TEXT_COLUMNS = ("question", "hint", "caption", "ocr")
"""Columns of a question's texts; None where unknown."""


class Answers(Protocol):
    """What `llava_core.evaluation.scienceqa.read_answers` gives."""

    @property
    def name(self) -> str:
        """File stem."""

    @property
    def chosen(self) -> Mapping[str, int]:
        """Question id to option index; -1 where nothing was parsed."""

    @property
    def parsed(self) -> Mapping[str, bool]:
        """Question id to whether ``chosen`` was read from the text, not guessed."""

    @property
    def texts(self) -> Mapping[str, str]:
        """Question id to generated text."""


class Block(Protocol):
    """One block of a feature store."""

    @property
    def level(self) -> str:
        """``example`` or ``option``."""


class Store(Protocol):
    """The part of `llava_core.features.store.FeatureStore` that the table needs."""

    @property
    def rows(self) -> pd.DataFrame:
        """One row per example, with ``example_id``, ``n_options`` and ``seen_in_training``."""

    @property
    def option_offsets(self) -> NDArray[np.int64]:
        """First option row of each example."""

    @property
    def blocks(self) -> Mapping[str, Any]:
        """Block descriptions by name."""

    def block(self, name: str) -> NDArray[Any]:
        """Return the array of a block."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionTable:
    """Rows of (question, option); the options of a question are adjacent and in the order of the source."""

    frame: pd.DataFrame
    """Raw columns, (n_rows,); select rows with ``frame.iloc[index]``, whole questions only."""
    y: NDArray[np.int8]
    """1 where the row is the right option, 0 where not, -1 where the answer is unknown; (n_rows,)."""
    questions: NDArray[np.int64]
    """Question of each row, counted from 0 within this table; (n_rows,)."""
    groups: NDArray[np.int64]
    """Family of each row, counted from 0 within this table; (n_rows,)."""
    families: NDArray[np.str_]
    """Name of the family of each row, comparable between tables; (n_rows,)."""
    example_ids: NDArray[np.str_]
    option_index: NDArray[np.int64]
    """Position in the source, for the predictions table only: never a feature."""
    seen_in_training: NDArray[np.bool_]
    """Whether the features come from a model that was trained on the question."""
    blocks: dict[str, list[str]] = field(default_factory=dict)
    """Raw columns of each block that this table can serve."""

    @property
    def n_questions(self) -> int:
        """Number of questions."""
        return int(self.questions[-1]) + 1 if len(self.questions) else 0

    def take(self, keep: NDArray[np.bool_]) -> "OptionTable":
        """Return the rows of the questions that are kept.

        Parameters
        ----------
        keep : ndarray of bool, shape (n_rows,)
            Equal for all options of a question.

        Raises
        ------
        ValueError
            If a question is kept in part.
        """
        per_question = np.bincount(self.questions, weights=keep)
        sizes = np.bincount(self.questions)
        if not np.all((per_question == 0) | (per_question == sizes)):
            raise ValueError(
                "got a mask that keeps some options of a question; a question is kept whole or not at all"
            )
        return OptionTable(
            frame=self.frame.iloc[np.flatnonzero(keep)].reset_index(drop=True),
            y=self.y[keep],
            questions=_recount(self.questions[keep]),
            groups=np.unique(self.groups[keep], return_inverse=True)[1].astype(np.int64),
            families=self.families[keep],
            example_ids=self.example_ids[keep],
            option_index=self.option_index[keep],
            seen_in_training=self.seen_in_training[keep],
            blocks=self.blocks,
        )

    def with_columns(self, block: str, columns: Mapping[str, NDArray[Any]]) -> "OptionTable":
        """Return the table with numeric columns of the caller, e.g. probabilities of models fitted elsewhere.

        Parameters
        ----------
        block : str
            Name of the block they form.
        columns : mapping of str to ndarray, shape (n_rows,)
            NaN where unknown.
        """
        named = {f"{block}:{name}": np.asarray(values, dtype=np.float64) for name, values in columns.items()}
        return replace(
            self,
            frame=self.frame.assign(**named),
            blocks={**self.blocks, block: list(named)},
        )


def option_table(
    examples: Sequence[Example],
    *,
    store: Store | None = None,
    answers: Sequence[Answers] | None = None,
) -> OptionTable:
    """Lay questions out as option rows.

    Parameters
    ----------
    examples : sequence of Example
        Any splits, labelled or not.
    store : FeatureStore, optional
        Adds one column of arrays per block. Every example has to be in it.
    answers : sequence of PublishedAnswers, optional
        Adds, per file, what the model chose, whether that was parsed, and its text. Guessed and missing
        answers are NaN: they never look like an answer.

    Returns
    -------
    OptionTable

    Raises
    ------
    ValueError
        If the store lacks an example or holds another number of options for it.

    Examples
    --------
    >>> example = Example(
    ...     id="a", question="Which is red?", options=("sky", "blood"), answer=1, split=None, group="a"
    ... )
    >>> table = option_table([example])
    >>> table.y.tolist(), table.frame["option"].tolist()
    ([0, 1], ['sky', 'blood'])
    """
    sizes = np.array([len(example.options) for example in examples], dtype=np.int64)
    questions = np.repeat(np.arange(len(examples)), sizes)
    option_index = (
        np.concatenate([np.arange(size) for size in sizes]) if len(examples) else np.zeros(0, np.int64)
    )
    columns: dict[str, Any] = {
        "question_id": questions,
        "n_options": sizes[questions].astype(np.float32),
        "has_image": np.array([float(example.has_image) for example in examples], dtype=np.float32)[
            questions
        ],
    }
    for name in TEXT_COLUMNS:
        texts = np.array([getattr(example, name) for example in examples], dtype=object)
        columns[name] = pd.Series(texts[questions], dtype="str")
    columns["option"] = pd.Series([text for example in examples for text in example.options], dtype="str")
    blocks = {name: list(needs) for name, needs in _TEXT_BLOCKS.items()}
    columns_of = _extra_columns(examples, sizes)
    if columns_of:
        blocks["embeddings"] = list(columns_of)
        columns |= columns_of
    seen = np.zeros(len(questions), dtype=bool)
    if store is not None:
        stored, seen = _store_columns(examples, store, sizes)
        columns |= stored
        blocks |= {name: [name] for name in stored}
        if {"clip_image", "clip_text"} <= set(stored):
            blocks["clip_similarity"] = ["clip_image", "clip_text"]
    if answers:
        published = {
            name: column for file in answers for name, column in _answer_columns(examples, file).items()
        }
        columns |= published
        blocks["llm_answer"] = list(published)
    families = np.array([example.group for example in examples], dtype=str)[questions]
    return OptionTable(
        frame=pd.DataFrame(columns),
        y=np.array(
            [-1 if e.answer is None else int(i == e.answer) for e in examples for i in range(len(e.options))],
            dtype=np.int8,
        ),
        questions=questions,
        groups=np.unique(families, return_inverse=True)[1].astype(np.int64),
        families=families,
        example_ids=np.array([example.id for example in examples], dtype=str)[questions],
        option_index=option_index,
        seen_in_training=seen,
        blocks=blocks,
    )


def without_families(table: OptionTable, held_out: OptionTable) -> OptionTable:
    """Return the rows whose family does not occur in the held-out table: a split's second figure."""
    return table.take(~np.isin(table.families, np.unique(held_out.families)))


_TEXT_BLOCKS: Mapping[str, Sequence[str]] = {
    "structure": ("n_options", "has_image"),
    "question_text": ("question",),
    "option_text": ("option",),
    "overlap": ("question", "hint", "caption", "ocr", "option"),
    "text_memory": ("question", "caption", "ocr", "option"),
}


def _recount(codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes that count the runs from 0."""
    return np.cumsum(np.diff(codes, prepend=codes[:1]) != 0).astype(np.int64)


def _spread(values: Sequence[Any], sizes: NDArray[np.int64]) -> NDArray[Any]:
    """Repeat one object per question over its options, without copying the arrays themselves."""
    column = np.empty(len(values), dtype=object)
    column[:] = [None] * len(values)
    for index, value in enumerate(values):
        column[index] = value
    return np.repeat(column, sizes)


def _extra_columns(examples: Sequence[Example], sizes: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the numeric columns of the source: one array per question, or one per option."""
    names = list(dict.fromkeys(name for example in examples for name in example.extra))
    columns = {}
    for name in names:
        values = [example.extra.get(name) for example in examples]
        arrays = [_as_numbers(value) for value in values]
        if all(array is None for array in arrays):
            continue
        column: list[NDArray[np.float32] | None] = []
        for array, size in zip(arrays, sizes, strict=True):
            if array is not None and array.ndim == 2 and len(array) == size:
                column += list(array)
            else:
                column += [None if array is None else array.ravel()] * int(size)
        columns[f"embeddings:{name}"] = _spread(column, np.ones(len(column), dtype=np.int64))
    return columns


def _as_numbers(value: object) -> NDArray[np.float32] | None:
    if value is None or isinstance(value, str | bytes | bool):
        return None
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError):
        return None
    return np.atleast_1d(array) if array.size else None


def _store_columns(
    examples: Sequence[Example], store: Store, sizes: NDArray[np.int64]
) -> tuple[dict[str, NDArray[Any]], NDArray[np.bool_]]:
    position = {example_id: index for index, example_id in enumerate(store.rows["example_id"])}
    lacking = [example.id for example in examples if example.id not in position]
    if lacking:
        raise ValueError(
            f"the feature store lacks {len(lacking)} of {len(examples)} questions, the first is {lacking[0]}"
        )
    at = np.array([position[example.id] for example in examples], dtype=np.int64)
    stored_sizes = store.rows["n_options"].to_numpy()[at]
    if not np.array_equal(stored_sizes, sizes):
        first = int(np.flatnonzero(stored_sizes != sizes)[0])
        raise ValueError(
            f"question {examples[first].id} has {sizes[first]} options, "
            f"but {stored_sizes[first]} in the feature store"
        )
    offsets = np.asarray(store.option_offsets)[at]
    option_rows = np.concatenate([np.arange(o, o + s) for o, s in zip(offsets, sizes, strict=True)])
    columns = {}
    for name in store.blocks:
        level = store.blocks[name].level
        array = store.block(name)
        picked = np.asarray(array[at if level == "example" else option_rows], dtype=np.float32)
        flat = picked.reshape(len(picked), -1)
        columns[name] = _spread(
            list(flat), sizes if level == "example" else np.ones(len(flat), dtype=np.int64)
        )
    seen = np.repeat(store.rows["seen_in_training"].to_numpy(dtype=bool)[at], sizes)
    return columns, seen


def _answer_columns(examples: Sequence[Example], file: Answers) -> dict[str, Any]:
    chosen, texts = [], []
    for example in examples:
        answer = file.chosen.get(example.id, -1)
        known = answer >= 0 and file.parsed.get(example.id, False)
        chosen += [float(index == answer) if known else np.nan for index in range(len(example.options))]
        texts += [file.texts.get(example.id)] * len(example.options)
    return {
        f"chosen:{file.name}": np.array(chosen, dtype=np.float32),
        f"text:{file.name}": pd.Series(texts, dtype="str"),
    }
