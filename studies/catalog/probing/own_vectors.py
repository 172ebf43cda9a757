"""Vectors of one's own: a ``.npy`` of (n_rows, dim), or a ``.parquet`` with one row per item [edge].

A block of a table is a column of equally long lists of numbers; or numeric columns of one name and different
numbers at its end, ``emb_0`` to ``emb_511``, in the order of the numbers; or, where there is neither, all
numeric columns together. Columns that hold an id, the family or a target belong to no block.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from llava_core.errors import InputError
from studies.catalog.probing.labels import ID_COLUMNS, as_labels, read_array, read_table

SUFFIXES = (".npy", ".parquet")
COLUMNS_BLOCK = "columns"
"""Name of the block of all numeric columns, and of columns that are named by numbers alone."""
_NUMBERED = re.compile(r"(?P<stem>.*?)[_.\- ]?(?P<number>\d+)")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class OwnVectors:
    """What a file of one's own holds."""

    blocks: dict[str, NDArray[np.float32]]
    """Name to (n_rows, dim), in the order of the file."""
    columns: dict[str, "pd.Series[Any]"]
    """The other columns, among which targets and families are."""
    ids: NDArray[np.str_] | None
    """(n_rows,) unique; None where the file names no rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.blocks.values())))


def read_vectors(path: Path, *, apart: Collection[str] = ()) -> OwnVectors:
    """Read a file of vectors.

    Parameters
    ----------
    path : Path
    apart : collection of str
        Columns that are no vectors: families and targets.

    Raises
    ------
    InputError
        If the file cannot be read, holds no vectors, or not a finite number everywhere.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"got a file of type {path.suffix or 'none'!r}, allowed are {', '.join(SUFFIXES)}, "
            "the folder of a feature store and that of a finished run",
            path=path,
        )
    if path.suffix.lower() == ".npy":
        array = read_array(path)
        if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
            raise InputError(
                f"got an array of shape {array.shape} and type {array.dtype}, "
                "allowed is (rows, dimensions) of numbers",
                path=path,
            )
        return OwnVectors(blocks={path.stem: _finite(array, path, path.stem)}, columns={}, ids=None)
    frame = read_table(path)
    id_column = next((name for name in ID_COLUMNS if name in frame and name not in apart), None)
    named = {*apart, *([id_column] if id_column else [])}
    members = block_columns(frame[[name for name in frame.columns if name not in named]])
    if not members:
        raise InputError(
            f"got columns {', '.join(frame.columns)}, allowed is one of lists of numbers, "
            "or columns of numbers such as emb_0, emb_1 and so on",
            path=path,
        )
    ids = None if id_column is None else as_labels(frame[id_column], path=path, field=id_column)
    if ids is not None and (len(set(ids)) < len(ids) or "" in ids):
        raise InputError("got an id twice or a row without one, allowed are different ones", path=path)
    taken = {name for columns in members.values() for name in columns}
    return OwnVectors(
        blocks={
            name: _finite(_stacked(frame, columns, path), path, name) for name, columns in members.items()
        },
        columns={name: frame[name] for name in frame.columns if name not in taken},
        ids=ids,
    )


def block_columns(frame: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of each block, in the order of the table."""
    numeric = [name for name in frame.columns if _is_numeric(frame[name])]
    numbered: dict[str, list[tuple[int, str]]] = {}
    for name in numeric:
        match = _NUMBERED.fullmatch(name)
        if match is not None:
            numbered.setdefault(match["stem"] or COLUMNS_BLOCK, []).append((int(match["number"]), name))
    found = {name: [name] for name in frame.columns if _is_list(frame[name])}
    found |= {
        stem: [name for _, name in sorted(columns)]
        for stem, columns in numbered.items()
        if len(columns) > 1 and stem not in found
    }
    if not found and numeric:
        found = {COLUMNS_BLOCK: numeric}
    place = {name: index for index, name in enumerate(frame.columns)}
    return dict(sorted(found.items(), key=lambda block: min(place[name] for name in block[1])))


def families_of_twins(blocks: Collection[NDArray[np.float32]]) -> NDArray[np.int64]:
    """Return the family of each row, (n_rows,): rows that agree in a whole vector of any block are one."""
    n_rows = len(next(iter(blocks)))
    edges = [np.unique(block, axis=0, return_inverse=True)[1].ravel() for block in blocks]
    nodes = np.concatenate([n_rows * (1 + place) + codes for place, codes in enumerate(edges)])
    rows = np.tile(np.arange(n_rows), len(edges))
    graph = coo_matrix(
        (np.ones(len(rows), dtype=np.int8), (rows, nodes)), shape=(n_rows * (1 + len(edges)),) * 2
    )
    return np.asarray(connected_components(graph, directed=False)[1][:n_rows], dtype=np.int64)


def _stacked(frame: pd.DataFrame, columns: Sequence[str], path: Path) -> NDArray[Any]:
    """Return the columns of a block as one array, (n_rows, dim)."""
    if not _is_list(frame[columns[0]]):
        return np.asarray(frame[list(columns)].to_numpy(dtype=np.float64, na_value=np.nan))
    values = frame[columns[0]].to_list()
    shape = np.shape(next(value for value in values if value is not None))
    wrong = next((row for row, value in enumerate(values) if value is None or np.shape(value) != shape), None)
    if wrong is not None:
        raise InputError(
            f"got no list, or one of another length than the first, {shape[0]}",
            path=path, record=f"row {wrong + 1}", field=columns[0],
        )  # fmt: skip
    return np.stack([np.asarray(value) for value in values])


def _is_list(column: "pd.Series[Any]") -> bool:
    """Whether the first value of a column is a list of numbers."""
    if not pd.api.types.is_object_dtype(column):
        return False
    first = next((value for value in column if value is not None), None)
    return isinstance(first, list | np.ndarray) and np.asarray(first).dtype.kind in "fiu"


def _is_numeric(column: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _finite(array: NDArray[np.generic], path: Path, name: str) -> NDArray[np.float32]:
    """Return the vectors as single precision."""
    with np.errstate(over="ignore"):  # too large for single precision is told below, as not finite
        vectors = array.astype(np.float32)
    if vectors.ndim != 2:
        raise InputError(
            f"got lists of shape {vectors.shape[1:]}, allowed are plain ones", path=path, field=name
        )
    broken = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
    if len(broken):
        raise InputError(
            f"got {len(broken)} rows with a number that is missing or not finite, allowed are finite ones",
            path=path, record=f"row {broken[0] + 1}", field=name,
        )  # fmt: skip
    return vectors
