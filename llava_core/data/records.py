"""Records of a JSONL or parquet file, each with the place a user finds it at [edge].

Numbers in parquet lists stay arrays, so that wide embeddings do not become Python floats. Left out: nested
objects, which are handed on as they are.
"""

from codecs import BOM_UTF8
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llava_core.data.json_file import check_is_file, json_type, parse_json, read_file
from llava_core.data.parquet_file import reading_parquet
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
    check_is_file(path)
    records = _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_jsonl(path)
    if not records:
        raise InputError("holds no records", path=path)
    return records


def _from_jsonl(path: Path) -> list[Record]:
    records = []
    for number, line in enumerate(read_file(path).removeprefix(BOM_UTF8).split(b"\n"), start=1):
        if not line.strip():
            continue
        where = f"line {number}"
        content = parse_json(line, path=path, record=where)
        if not isinstance(content, dict):
            raise InputError(f"got {json_type(content)}, allowed is an object", path=path, record=where)
        fields = {name: value for name, value in content.items() if value is not None}
        records.append(Record(where=where, fields=fields))
    return records


def _from_parquet(path: Path) -> list[Record]:
    import pyarrow.parquet as pq

    with reading_parquet(path):
        table = pq.read_table(path)
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
