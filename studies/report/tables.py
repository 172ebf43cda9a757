"""The report as flat tables, unrounded: rows of plain values for CSV files and the Markdown report.

An estimate becomes its value under its own name, and ``_low``, ``_high`` and ``_n`` beside it. Left out: the
gallery, whose questions may not be copied out of a data set.
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Summary = Mapping[str, Any]
Row = dict[str, Any]


def flat_tables(summary: Summary) -> dict[str, list[Row]]:
    """Return every table of the summary by name; those without rows are left out.

    Parameters
    ----------
    summary : mapping
        Content of ``summary.json``.

    Returns
    -------
    dict of str to list of dict
        Rows of a table have the same columns in the same order.

    Examples
    --------
    >>> accuracy = {"value": 0.5, "low": 0.4, "high": 0.6, "level": 0.95, "n": 9}
    >>> flat_tables({"methods": [{"name": "a", "accuracy": accuracy}]})["methods"]
    [{'name': 'a', 'accuracy': 0.5, 'accuracy_low': 0.4, 'accuracy_high': 0.6, 'accuracy_n': 9}]
    """
    found = {name: [flat(row) for row in rows_of(summary)] for name, rows_of in TABLES.items()}
    return {name: same_columns(rows) for name, rows in found.items() if rows}


def flat(row: Mapping[str, Any]) -> Row:
    """Spread estimates and mappings over columns; write lists as JSON."""
    cells: Row = {}
    for key, value in row.items():
        if isinstance(value, Mapping) and {"value", "low", "high", "n"} <= value.keys():
            cells |= {key: value["value"], f"{key}_low": value["low"], f"{key}_high": value["high"]}
            cells[f"{key}_n"] = value["n"]
        elif isinstance(value, Mapping):
            cells |= {f"{key}_{part}": one for part, one in flat(value).items()}
        elif isinstance(value, Sequence) and not isinstance(value, str):
            cells[key] = json.dumps(value)
        else:
            cells[key] = value
    return cells


def as_csv(rows: Sequence[Row]) -> str:
    """Write rows as CSV with a head line; None is an empty cell.

    Examples
    --------
    >>> print(as_csv([{"a": 1, "b": None}, {"a": "x, y", "b": 0.25}]), end="")
    a,b
    1,
    "x, y",0.25
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def same_columns(rows: list[Row]) -> list[Row]:
    """Give every row the columns of all, in the order they come up; None where a row had none.

    Examples
    --------
    >>> same_columns([{"a": 1}, {"b": 2}])
    [{'a': 1, 'b': None}, {'a': None, 'b': 2}]
    """
    columns = dict.fromkeys(key for row in rows for key in row)
    return [{**columns, **row} for row in rows]


def _methods(summary: Summary) -> list[Row]:
    return [{key: value for key, value in row.items() if key != "weights"} for row in summary["methods"]]


def _weights(summary: Summary) -> list[Row]:
    rows = []
    for method in summary["methods"]:
        for name, weight in (method.get("weights") or {}).items():
            found = list(weight) if isinstance(weight, Sequence) else [weight]
            rows += [
                {"method": method["name"], "input": name, "with_image": place, "weight": one}
                for place, one in zip((None,) if len(found) == 1 else (False, True), found, strict=True)
            ]
    return rows


def _removed(summary: Summary) -> list[Row]:
    removed = summary.get("families_removed") or {}
    return [
        {key: value for key, value in row.items() if key != "weights"} for row in removed.get("methods") or ()
    ]


def _slices(summary: Summary) -> list[Row]:
    return [
        {"dimension": row["dimension"], "value": row["value"], "method": method, "accuracy": accuracy}
        for row in summary.get("slices") or ()
        for method, accuracy in row["accuracy"].items()
    ]


def _unrolled(key: str, part: str, columns: Sequence[str] = ()) -> Callable[[Summary], list[Row]]:
    """Rows of the lists within a list; plain pairs get the names of ``columns``."""

    def rows_of(summary: Summary) -> list[Row]:
        return [
            {
                **{name: value for name, value in row.items() if name in ("method", "x", "cost")},
                **(dict(zip(columns, one, strict=True)) if columns else one),
            }
            for row in summary.get(key) or ()
            for one in row[part]
        ]

    return rows_of


def _within(key: str, *parts: str) -> Callable[[Summary], list[Row]]:
    """Rows of a list that lies within mappings."""

    def rows_of(summary: Summary) -> list[Row]:
        found: Any = summary.get(key) or {}
        for part in parts:
            found = found.get(part) or {}
        return list(found or ())

    return rows_of


def _calibration(summary: Summary) -> list[Row]:
    return [
        {key: row[key] for key in ("method", "error", "overconfidence")}
        for row in summary.get("calibration") or ()
    ]


def _splits(summary: Summary) -> list[Row]:
    splits = (summary.get("data") or {}).get("splits") or {}
    return [{"part": name, **counts} for name, counts in splits.items()]


def _tuning(summary: Summary) -> list[Row]:
    return [
        {key: value for key, value in row.items() if key not in ("params", "one_standard_error", "at_edge")}
        | {key: json.dumps(row[key]) for key in ("params",) if key in row}
        for row in summary.get("tuning") or ()
    ]


TABLES: Mapping[str, Callable[[Summary], list[Row]]] = {
    "methods": _methods,
    "comparisons": _within("comparisons"),
    "families_removed": _removed,
    "families_removed_comparisons": _within("families_removed", "comparisons"),
    "slices": _slices,
    "complementarity_pairs": _within("complementarity", "pairs"),
    "complementarity_alone": _within("complementarity", "methods"),
    "weights": _weights,
    "without_members": _within("anatomy", "without_members"),
    "importance": _within("anatomy", "importance"),
    "ablation": _within("ablation"),
    "curves": _unrolled("curves", "points"),
    "calibration": _calibration,
    "reliability": _unrolled("calibration", "bins"),
    "risk_coverage": _unrolled("risk_coverage", "points", ("coverage", "risk")),
    "positions": _within("positions", "methods"),
    "cost": _unrolled("cost_fronts", "points"),
    "llava_scores": _within("llava", "scores"),
    "llava_skills": _within("llava", "skills"),
    "tuning": _tuning,
    "audit": _within("audit", "checks"),
    "parts": _splits,
    "gaps": _within("data", "gaps"),
}
"""Table name, which is its file's name too, to its rows before they are flattened."""
