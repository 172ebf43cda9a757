"""Labels of one's own: files ``.csv``, ``.parquet`` or ``.npy`` with a class for each row [edge].

A label names a class: text, a whole number, true or false. A number that was measured is none. Left out:
regression, several labels to a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.errors import InputError

ID_COLUMNS = ("example_id", "id")
SUFFIXES = (".csv", ".parquet", ".npy")


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Labels:
    """A column of labels."""

    name: str
    values: NDArray[np.str_]
    """(n_rows,), empty where there is none."""
    ids: NDArray[np.str_] | None
    """(n_rows,), None where the file names no rows."""
    path: Path


def is_file_of_labels(told: str) -> bool:
    """Whether a target is meant as a file: its name, or what stands before a colon, ends like one."""
    return any(part.lower().endswith(SUFFIXES) for part in (told, told.rpartition(":")[0]))


def read_labels(told: str) -> Labels:
    """Read a column of labels.

    Parameters
    ----------
    told : str
        ``FILE`` or ``FILE:COLUMN``; the column may be left out where there is one only beside the id.

    Raises
    ------
    InputError
        If there is no such file or column, or it holds no labels.
    """
    path, column = _place(told)
    if not path.is_file():
        raise InputError("no such file", path=path)
    if path.suffix.lower() == ".npy":
        if column is not None:
            raise InputError(f"got column {column!r} of an array, which has none", path=path)
        array = read_array(path)
        if array.ndim != 1:
            raise InputError(f"got shape {array.shape}, allowed is one label per row", path=path)
        return Labels(name=path.stem, values=as_labels(array, path=path), ids=None, path=path)
    frame = read_table(path)
    id_column = next((name for name in ID_COLUMNS if name in frame), None)
    others = [str(name) for name in frame.columns if name != id_column]
    if column is None and len(others) != 1:
        raise InputError(
            f"got columns {', '.join(others) or 'none'}, allowed is one beside the id, "
            f"or to choose one: {path.name}:COLUMN",
            path=path,
        )
    name = column if column is not None else others[0]
    if name not in frame:
        raise InputError(f"got column {name!r}, allowed are {', '.join(others)}", path=path)
    return Labels(
        name=name,
        values=as_labels(frame[name], path=path, field=name),
        ids=None if id_column is None else as_labels(frame[id_column], path=path, field=id_column),
        path=path,
    )


def laid_out(
    labels: Labels, ids: Sequence[str] | NDArray[np.str_] | None, *, n_items: int
) -> NDArray[np.str_]:
    """Return the label of each item, (n_items,), empty where there is none.

    Joined by id where both sides have one, in row order otherwise.

    Raises
    ------
    InputError
        If an id stands twice, none is an item's, or there are more or fewer rows than items.
    """
    if labels.ids is None or ids is None:
        if len(labels.values) != n_items:
            raise InputError(
                f"got {len(labels.values)} labels, allowed are {n_items}, one per row", path=labels.path
            )
        return labels.values
    by_id = pd.Series(labels.values, index=labels.ids, dtype="str")
    double = by_id.index[by_id.index.duplicated()]
    if len(double):
        raise InputError(f"got id {double[0]} twice, allowed is once", path=labels.path)
    found = by_id.reindex(pd.Index(np.asarray(ids))).fillna("")
    if not (found != "").any():
        raise InputError("got no label for any of the rows: no id is that of a row", path=labels.path)
    return found.to_numpy(dtype=np.str_)


def as_labels(
    values: "pd.Series[Any] | NDArray[np.generic]", *, path: Path, field: str | None = None
) -> NDArray[np.str_]:
    """Return labels as text, empty where there is none.

    Raises
    ------
    InputError
        If the values are measured numbers, or no single values at all.
    """
    column: pd.Series[Any] = pd.Series(values).convert_dtypes()
    if pd.api.types.is_float_dtype(column):
        known = column.dropna()
        measured = known[known != known.round()] if np.isfinite(known).all() else known
        raise InputError(
            f"got the number {measured.iloc[0]:g}, allowed are labels: texts, whole numbers, true and false",
            path=path,
            field=field,
        )
    kinds = (pd.api.types.is_integer_dtype, pd.api.types.is_bool_dtype, pd.api.types.is_string_dtype)
    if not any(is_kind(column) for is_kind in kinds):
        raise InputError(
            f"got values of type {column.dtype}, allowed are texts, whole numbers, true and false",
            path=path,
            field=field,
        )
    return column.astype("string").fillna("").to_numpy(dtype=np.str_)


def read_array(path: Path) -> NDArray[np.generic]:
    """Return the array in a ``.npy``; nothing in it is executed.

    Raises
    ------
    InputError
        If it is no such array, or one of Python objects.
    """
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise InputError(f"cannot be read as an array of numbers or texts: {error}", path=path) from None
    if not isinstance(array, np.ndarray):
        raise InputError("got an archive of arrays, allowed is one array", path=path)
    return array


def read_table(path: Path) -> pd.DataFrame:
    """Return the table in a ``.csv``, where all is text, or ``.parquet``.

    Raises
    ------
    InputError
        If it is of another type, broken or empty.
    """
    try:
        if path.suffix.lower() == ".csv":
            frame = pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""])
        elif path.suffix.lower() == ".parquet":
            frame = pd.read_parquet(path)
        else:
            raise InputError(
                f"got a file of type {path.suffix or 'none'!r}, allowed are {', '.join(SUFFIXES)}", path=path
            )
    except InputError:
        raise
    except (ValueError, OSError, UnicodeDecodeError) as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"cannot be read as {path.suffix[1:]}: {problem}", path=path) from None
    if frame.empty:
        raise InputError("holds no rows", path=path)
    double = frame.columns[frame.columns.duplicated()]
    if len(double):
        raise InputError(f"got column {double[0]!r} twice, allowed is once", path=path)
    return frame.rename(columns=str)


def _place(told: str) -> tuple[Path, str | None]:
    """Return file and column; a colon may stand in a file's name."""
    before, colon, after = told.rpartition(":")
    if colon and not Path(told).is_file() and before.lower().endswith(SUFFIXES):
        return Path(before), after
    return Path(told), None
