"""Records of a JSONL or parquet file, each with the place a user finds it at [edge].

Numbers in parquet lists stay arrays, so that wide embeddings do not become Python floats. Left out: nested
objects, which are handed on as they are.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.errors import InputError

SUFFIXES = (".jsonl", ".parquet")


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One line of JSONL, or one row of a parquet file."""

    where: str
    """Line or row, counted from 1."""
    fields: Mapping[str, Any]
    """Columns with a value; a null column is absent, and so is a NaN in parquet."""


def read_records(path: Path) -> list[Record]:
    """Read a file of records.

    Raises
    ------
    InputError
        If the file is missing, broken, empty or of another type; the message names the line.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(
            f"got a file of type {path.suffix or 'none'!r}, allowed are {', '.join(SUFFIXES)}", path=path
        )
    if not path.is_file():
        raise InputError("no such file", path=path)
    records = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_jsonl(path)
    if not records:
        raise InputError("holds no records", path=path)
    return records


def _from_jsonl(path: Path) -> list[Record]:
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", path=path) from None
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except json.JSONDecodeError as error:
            raise InputError(
                f"broken JSON at column {error.colno}: {error.msg}", path=path, record=f"line {number}"
            ) from None
        if not isinstance(content, dict):
            raise InputError("got no object, allowed is one per line", path=path, record=f"line {number}")
        records.append(
            Record(
                where=f"line {number}",
                fields={name: value for name, value in content.items() if value is not None},
            )
        )
    return records


def _from_parquet(path: Path) -> list[Record]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        problem = str(error).splitlines()[0]
        raise InputError(f"cannot be read as parquet: {problem}", path=path) from None
    columns = {name: _values(table.column(name)) for name in table.column_names}
    return [
        Record(
            where=f"row {row + 1}",
            fields={name: values[row] for name, values in columns.items() if values[row] is not None},
        )
        for row in range(table.num_rows)
    ]


def _values(column: Any) -> list[Any]:
    """Return a column as Python values; lists of numbers as arrays."""
    import pyarrow as pa

    kind = column.type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if is_list and (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        return list(column.to_pandas())
    if pa.types.is_floating(kind):  # pandas writes a missing number as NaN
        return [None if value != value else value for value in column.to_pylist()]
    values: list[Any] = column.to_pylist()
    return values
