"""From option rows to question records: an option table in the shape of a question file.

One row per option, ``id option correct`` and the user's own numeric columns. Rows of a question need not be
adjacent; options keep the order of the rows. Left out: more than one right option per question.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llava_core.data.records import Record
from llava_core.errors import InputError, shown


def questions_of(path: Path, rows: Sequence[Record], *, question_fields: Sequence[str]) -> list[Record]:
    """Gather option rows into one record per question, with ``options``, ``answer`` and arrays.

    Parameters
    ----------
    path : Path
        Named in errors.
    rows : sequence of Record
    question_fields : sequence of str
        Columns that describe the question and so are equal in all of its rows.

    Returns
    -------
    list of Record
        In order of first appearance; every further column has shape (n_options, width).

    Raises
    ------
    InputError
        If a question has fewer than two rows, not exactly one right option, rows that contradict
        each other, or a column that is not numeric.
    """
    widths = _widths(path, rows, known={"id", "option", "correct", *question_fields})
    by_id: dict[Any, list[Record]] = {}
    for row in rows:
        for field in ("id", "option"):
            if field not in row.fields:
                raise InputError("is missing", path=path, record=row.where, field=field)
        if not isinstance(row.fields["id"], str | int):
            raise InputError(
                f"got {shown(row.fields['id'])}, allowed is a text or a whole number",
                path=path,
                record=row.where,
                field="id",
            )
        by_id.setdefault(row.fields["id"], []).append(row)
    return [
        _question(path, rows_of, question_fields=question_fields, widths=widths) for rows_of in by_id.values()
    ]


def _question(
    path: Path, rows: Sequence[Record], *, question_fields: Sequence[str], widths: dict[str, int]
) -> Record:
    first = rows[0]
    name = f"{first.fields['id']} ({first.where})"
    if len(rows) < 2:
        raise InputError("got one option row, allowed are two or more", path=path, record=name)
    fields: dict[str, Any] = {"id": first.fields["id"], "question": ""}
    for field in question_fields:
        for row in rows:
            if repr(row.fields.get(field)) != repr(first.fields.get(field)):
                raise InputError(
                    f"got {shown(row.fields.get(field))}, but {shown(first.fields.get(field))} "
                    f"in {first.where} of the same question",
                    path=path,
                    record=row.where,
                    field=field,
                )
        if field in first.fields:
            fields[field] = first.fields[field]
    fields["options"] = _texts(path, rows)
    answer = _answer(path, rows, name)
    if answer is not None:
        fields["answer"] = answer
    for column, width in widths.items():
        values = [row.fields.get(column, np.full(width, np.nan)) for row in rows]
        fields[column] = np.stack([np.asarray(value, dtype=np.float32).reshape(width) for value in values])
    return Record(where=first.where, fields=fields)


def _texts(path: Path, rows: Sequence[Record]) -> list[str]:
    """Return the option texts; empty ones where the column only counts the options.

    A number as text would tell every model the position of the option.
    """
    texts = isinstance(rows[0].fields["option"], str)
    for row in rows:
        value = row.fields["option"]
        if isinstance(value, bool) or not isinstance(value, str if texts else int):
            raise InputError(
                f"got {shown(value)}, allowed are texts in all rows of a question, or whole numbers in all",
                path=path,
                record=row.where,
                field="option",
            )
    if texts:
        return [row.fields["option"] for row in rows]
    return [""] * len(rows)


def _answer(path: Path, rows: Sequence[Record], name: str) -> int | None:
    """Return the index of the right option; None for an unlabelled question."""
    for row in rows:
        told = row.fields.get("correct", 0)
        if not isinstance(told, int | float) or told not in (0, 1):
            raise InputError(
                f"got {shown(told)}, allowed are true, false, 1 and 0",
                path=path,
                record=row.where,
                field="correct",
            )
    n_told = sum("correct" in row.fields for row in rows)
    right = [index for index, row in enumerate(rows) if row.fields.get("correct")]
    if n_told == 0:
        return None
    if n_told < len(rows) or len(right) != 1:
        raise InputError(
            f"got {len(right)} right options and {len(rows) - n_told} nulls, "
            "allowed is exactly one right option, or null in all rows",
            path=path,
            record=name,
            field="correct",
        )
    return right[0]


def _widths(path: Path, rows: Sequence[Record], *, known: set[str]) -> dict[str, int]:
    """Return the width of each numeric column, which has to be the same in all rows."""
    widths: dict[str, int] = {}
    for row in rows:
        for column, value in row.fields.items():
            if column in known:
                continue
            width = _width(value)
            if width is None:
                raise InputError(
                    f"got {shown(value)}, allowed are a number or a list of numbers",
                    path=path,
                    record=row.where,
                    field=column,
                )
            if widths.setdefault(column, width) != width:
                raise InputError(
                    f"got {width} numbers, but {widths[column]} in the rows before",
                    path=path,
                    record=row.where,
                    field=column,
                )
    return widths


def _width(value: object) -> int | None:
    """Return how many numbers a value holds; None if it is not a number or a flat list of numbers."""
    if isinstance(value, str | bytes | dict):
        return None
    try:
        array = np.asarray(value, dtype=np.float32)
    except (TypeError, ValueError, OverflowError):
        return None
    return int(array.size) if array.ndim <= 1 and array.size else None
