"""The report on what ensembles are made of: weights, members, blocks of features, and what images bring."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.report.geometry import interval_mark, ticks
from studies.report.leaderboard import View, difference_axis, excludes_zero
from studies.report.names import labels


def anatomy(summary: Mapping[str, Any]) -> View | None:
    """Return weights, stacks without members, and shuffled blocks; None where the run has none of them."""
    told = summary.get("anatomy") or {}
    weights = _weights(summary)
    members = _differences(summary, told.get("without_members") or (), "difference", lowest_first=True)
    importance = _differences(summary, told.get("importance") or (), "accuracy_lost", lowest_first=False)
    if not (weights or members or importance):
        return None
    return {
        "weights": weights,
        "members": members,
        "importance": importance,
        "image": _image(summary),
        "has_image_column": any(
            row.get("accuracy_lost_with_image") for row in (importance or {"rows": ()})["rows"]
        ),
    }


def _weights(summary: Mapping[str, Any]) -> list[View]:
    """One table per stack: its inputs with their weights, the heaviest first."""
    name_of = labels(summary)
    tables = []
    for method in summary["methods"]:
        if not method.get("weights"):
            continue
        found = {
            name: list(weight) if isinstance(weight, Sequence) else [weight]
            for name, weight in method["weights"].items()
        }
        n_columns = max(len(weight) for weight in found.values())
        rows = [{"label": name_of.get(name, name), "weights": weight} for name, weight in found.items()]
        rows.sort(key=lambda row: -max(abs(weight) for weight in row["weights"]))
        columns = ["without an image", "with an image"] if n_columns == 2 else ["weight"]
        tables.append({"label": name_of[method["name"]], "columns": columns, "rows": rows})
    return tables


def _differences(
    summary: Mapping[str, Any], found: Sequence[Mapping[str, Any]], key: str, *, lowest_first: bool
) -> View | None:
    """Rows around zero, by method, the ones that matter most first."""
    if not found:
        return None
    name_of = labels(summary)
    axis = difference_axis([row[key] for row in found])
    rows = [
        {
            **row,
            "label": name_of.get(row["method"], row["method"]),
            "left_out": name_of.get(row.get("without", ""), row.get("without")),
            "mark": interval_mark(row[key], axis),
            "is_clear": excludes_zero(row[key]),
        }
        for row in found
    ]
    order = 1 if lowest_first else -1
    rows.sort(key=lambda row: (row["label"], order * row[key]["value"]))
    return {"rows": rows, "zero_at": axis.position(0), "ticks": ticks(axis)}


def _image(summary: Mapping[str, Any]) -> View | None:
    """Return the planned comparison that answers what the image brought: XGBoost with and without it."""
    name_of = labels(summary)
    for row in summary.get("comparisons") or ():
        if (row["a"], row["b"]) == ("xgboost", "question_only"):
            return {**row, "a_label": name_of[row["a"]], "b_label": name_of[row["b"]]}
    return None
