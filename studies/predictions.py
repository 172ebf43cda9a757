"""The predictions table: every method, the LLM included, in one schema (waist 2) [edge].

One row per (method, question, option)::

    example_id    str     question
    option_index  int16   position of the option in the source
    method        str     e.g. ``xgboost`` or ``llm:llava_13b``
    seed          int64   seed of the run
    fold          int16   outer fold that the row was predicted in; -1 outside cross-validation
    prob          float64 probability of the option; null for methods that only choose
    chosen        float64 share of the choice: 1 for the chosen option, 1/k for each of k tied
                          ones; all 0 where a method gave no answer, which is scored wrong
    correct       boolean whether the option is the right one; null for unlabelled questions

All scores come from this table (`studies.catalog.scoring`); nothing is scored from a model directly.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from llava_core.data.parquet_file import reading_parquet
from llava_core.errors import InputError
from studies.files import write_parquet

PREDICTION_COLUMNS = ("example_id", "option_index", "method", "seed", "fold", "prob", "chosen", "correct")
TIE_TOLERANCE = 1e-9
"""Probabilities closer than this are a tie."""
_TYPES = {
    "example_id": "str", "option_index": "int16", "method": "str", "seed": "int64", "fold": "int16",
    "prob": "float64", "chosen": "float64", "correct": "boolean",
}  # fmt: skip


def build_predictions(
    method: str,
    *,
    example_ids: ArrayLike,
    option_index: ArrayLike,
    y: ArrayLike,
    prob: ArrayLike | None = None,
    chosen: ArrayLike | None = None,
    seed: int = 0,
    fold: ArrayLike | int = -1,
) -> pd.DataFrame:
    """Return the table of one method.

    Parameters
    ----------
    method : str
    example_ids, option_index : array_like, shape (n_rows,)
        Question and option of each row.
    y : array_like of int, shape (n_rows,)
        1 right option, 0 wrong, -1 unknown.
    prob : array_like of float, shape (n_rows,), optional
        Sums to 1 within a question.
    chosen : array_like of float, shape (n_rows,), optional
        Only for methods without ``prob``; otherwise the largest ``prob``, ties shared.
    seed : int
    fold : array_like of int, shape (n_rows,), or int

    Raises
    ------
    ValueError
        If not exactly one of ``prob`` and ``chosen`` is given, or the table breaks the schema.
    """
    if (prob is None) == (chosen is None):
        raise ValueError("exactly one of prob and chosen makes a prediction")
    ids = pd.Series(np.asarray(example_ids), dtype="str")
    if chosen is None:
        prob = np.asarray(prob, dtype=np.float64)
        chosen = shares(prob, pd.factorize(ids)[0])
    truth = np.asarray(y)
    frame = pd.DataFrame(
        {
            "example_id": ids,
            "option_index": np.asarray(option_index),
            "method": method,
            "seed": seed,
            "fold": fold,
            "prob": np.nan if prob is None else prob,
            "chosen": np.asarray(chosen, dtype=np.float64),
            "correct": pd.array(truth == 1, dtype="boolean"),
        }
    )
    frame.loc[truth < 0, "correct"] = pd.NA
    frame = frame.astype(_TYPES)
    check_predictions(frame)
    return frame


def shares(prob: ArrayLike, questions: ArrayLike) -> NDArray[np.float64]:
    """Share of the choice per option row: the largest probability of its question takes all, ties split it.

    Examples
    --------
    >>> shares([0.2, 0.8, 0.5, 0.5], [0, 0, 1, 1]).tolist()
    [0.0, 1.0, 0.5, 0.5]
    """
    values = pd.Series(np.asarray(prob, dtype=np.float64))
    by = np.asarray(questions)
    top = values >= values.groupby(by).transform("max") - TIE_TOLERANCE
    return np.asarray(top / top.groupby(by).transform("sum"), dtype=np.float64)


def check_predictions(frame: pd.DataFrame) -> None:
    """Check the schema.

    Raises
    ------
    ValueError
        Naming the first method and question that breaks it.
    """
    if tuple(frame.columns) != PREDICTION_COLUMNS:
        raise ValueError(f"got columns {list(frame.columns)}, expected {list(PREDICTION_COLUMNS)}")
    by = frame.groupby(["method", "seed", "example_id"], sort=False)
    n_right = by["correct"].sum(min_count=1)
    n_prob = by["prob"].count()
    problems = {
        "an option twice": frame.duplicated(["method", "seed", "example_id", "option_index"]).groupby(
            [frame["method"], frame["seed"], frame["example_id"]], sort=False
        ).any(),
        "a share of the choice that is no number": frame["chosen"].isna().groupby(
            [frame["method"], frame["seed"], frame["example_id"]], sort=False
        ).any(),
        "probabilities that do not sum to 1": (n_prob > 0) & ((by["prob"].sum() - 1).abs() > 1e-6),
        "probabilities of some options only": (n_prob > 0) & (n_prob < by.size()),
        "a probability outside 0 and 1": (by["prob"].min() < -1e-9) | (by["prob"].max() > 1 + 1e-9),
        "shares of the choice that sum to neither 0 nor 1": (
            by["chosen"].sum().sub(0.5).abs().sub(0.5).abs() > 1e-6
        ),
        "not one right option": (n_right.notna() & (n_right != 1)).astype(bool),
    }  # fmt: skip
    for what, broken in problems.items():
        if broken.any():
            method, _, example_id = by.size().index[int(np.flatnonzero(np.asarray(broken))[0])]
            raise ValueError(f"method {method}, question {example_id} has {what}")


def write_predictions(frame: pd.DataFrame, path: Path) -> Path:
    """Write the table as parquet, whole or not at all."""
    check_predictions(frame)
    return write_parquet(path, frame)


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a table that `write_predictions` wrote.

    Raises
    ------
    InputError
        If the file is missing, unreadable or not of the schema.
    """
    path = Path(path)
    if not path.exists():
        raise InputError("no such predictions table", path=path)
    with reading_parquet(path):
        frame = pd.read_parquet(path)
    try:
        check_predictions(frame)
        return frame.astype(_TYPES)
    except (ValueError, TypeError) as error:
        raise InputError(f"got no predictions table: {error}", path=path) from None
