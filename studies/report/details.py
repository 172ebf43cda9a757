"""The report's middle: curves against M, slices, LLaVA's two stages, ablation by block, tuning."""

from collections.abc import Mapping
from typing import Any

from studies.report.geometry import Axis, interval_mark, line_chart, spanning_axis, thinned, ticks
from studies.report.leaderboard import View, accuracy_axis, difference_axis, excludes_zero
from studies.report.names import labels, reference

MOST_VALUES = 60
"""Values shown per slicing dimension; the rest is counted and stays in summary.json."""
X_LABELS = {"n_trees": "M, number of trees", "n_xgb": "M, number of XGBoosts"}
SCORE_LABELS = {
    "loglik": "Option log-likelihood",
    "generation": "Generation and parsing",
    "blank_image": "Blank image",
    "stage1_only": "After stage 1 only",
}


def curves(summary: Mapping[str, Any]) -> list[View]:
    """One panel per method: accuracy with its band, and fit time, against M."""
    found = [curve for curve in summary.get("curves") or () if curve.get("points")]
    name_of = labels(summary)
    y_axis = accuracy_axis([p["accuracy"] for curve in found for p in curve["points"]])
    panels = []
    for curve in found:
        points = sorted(curve["points"], key=lambda p: p["m"])
        x_axis = _count_axis([p["m"] for p in points])
        timed = [(p["m"], p["fit_s"]) for p in points if p.get("fit_s") is not None]
        panels.append(
            {
                "label": name_of.get(curve["method"], curve["method"]),
                "x_label": X_LABELS.get(curve["x"], curve["x"]),
                "points": points,
                "accuracy": line_chart(
                    [(p["m"], p["accuracy"]["value"]) for p in points],
                    band=[(p["accuracy"]["low"], p["accuracy"]["high"]) for p in points],
                    x_axis=x_axis,
                    y_axis=y_axis,
                ),
                "fit": line_chart(
                    timed, x_axis=x_axis, y_axis=spanning_axis([0.0, *(s for _, s in timed)], low=0.0)
                )
                if timed
                else None,
            }
        )
    return panels


def slices(summary: Mapping[str, Any]) -> list[View]:
    """One table per dimension: values down, methods across in leaderboard order, the best of a row marked."""
    name_of, against = labels(summary), reference(summary)
    ranked = sorted(summary["methods"], key=lambda m: -(m.get("accuracy") or {"value": -1})["value"])
    order = [method["name"] for method in ranked]
    tables = []
    for dimension in dict.fromkeys(row["dimension"] for row in summary.get("slices") or ()):
        rows = [row for row in summary["slices"] if row["dimension"] == dimension]
        present = {name for row in rows for name in row["accuracy"]}
        columns = [name for name in order if name in present] + sorted(present - set(order))
        tables.append(
            {
                "dimension": dimension,
                "columns": [{"label": name_of.get(c, c), "is_reference": c == against} for c in columns],
                "rows": [_slice_row(row, columns) for row in rows[:MOST_VALUES]],
                "n_more": max(0, len(rows) - MOST_VALUES),
                "long": len(rows) > 12,
            }
        )
    return tables


def llava(summary: Mapping[str, Any]) -> View | None:
    """Loss of both stages, scores of the answers, accuracy per skill beside chance."""
    told = summary.get("llava")
    if not told:
        return None
    stages = []
    for stage in told.get("stages") or ():
        loss = thinned([(step, value) for step, value in stage.get("loss") or ()])
        y_axis = spanning_axis([0.0, *(value for _, value in loss)], low=0.0)
        stages.append({**stage, "chart": line_chart(loss, y_axis=y_axis) if loss else None})
    scores = [
        {"label": SCORE_LABELS.get(score["what"], score["what"].replace("_", " ")), **score}
        for score in told.get("scores") or ()
    ]
    skills = [
        {**skill, "over_chance": skill["accuracy"]["value"] - skill["chance"]}
        for skill in told.get("skills") or ()
    ]
    axis = Axis(start=0.0, stop=1.0)
    for row in scores + skills:
        row["mark"] = interval_mark(row["accuracy"], axis)
    for skill in skills:
        skill["chance_at"] = axis.position(skill["chance"])
    skills.sort(key=lambda skill: -skill["over_chance"])
    return {
        "stages": stages,
        "scores": scores,
        "skills": skills,
        "ticks": ticks(axis),
        "evaluated_on": told.get("evaluated_on"),
    }


def ablation(summary: Mapping[str, Any]) -> View | None:
    """Return what each method loses without one block, largest loss first within a method."""
    found = summary.get("ablation")
    if not found:
        return None
    name_of = labels(summary)
    axis = difference_axis([row["difference"] for row in found])
    rows = [
        {
            **row,
            "label": name_of.get(row["method"], row["method"]),
            "mark": interval_mark(row["difference"], axis),
            "is_clear": excludes_zero(row["difference"]),
        }
        for row in found
    ]
    rows.sort(key=lambda row: (row["label"], row["difference"]["value"]))
    return {"rows": rows, "zero_at": axis.position(0), "ticks": ticks(axis)}


def tuning(summary: Mapping[str, Any]) -> list[View]:
    """Inner best beside the outer score; the gap is the selection bias."""
    name_of = labels(summary)
    rows = []
    for row in summary.get("tuning") or ():
        inner, outer = row.get("inner_log_loss"), row.get("outer_log_loss")
        default = row.get("default_inner_log_loss")
        inner_accuracy, outer_accuracy = row.get("inner_accuracy"), row.get("outer_accuracy")
        rows.append(
            {
                "label": name_of.get(row["method"], row["method"]),
                "n_trials": row.get("n_trials"),
                "standard_error": row.get("standard_error"),
                "within": (row.get("one_standard_error") or {}).get("n_within"),
                "simplest": (row.get("one_standard_error") or {}).get("trial"),
                "at_edge": [
                    f"{parameter['name']} {parameter['side']}" for parameter in row.get("at_edge") or ()
                ],
                "seconds": row.get("seconds"),
                "inner": inner,
                "outer": outer,
                "default": default,
                "gain": default - inner if None not in (inner, default) else None,
                "bias": outer - inner if None not in (inner, outer) else None,
                "inner_accuracy": inner_accuracy,
                "outer_accuracy": outer_accuracy,
                "accuracy_bias": inner_accuracy - outer_accuracy
                if None not in (inner_accuracy, outer_accuracy)
                else None,
                "journal": row.get("journal"),
            }
        )
    return rows


def _slice_row(row: Mapping[str, Any], columns: list[str]) -> View:
    cells = [row["accuracy"].get(column) for column in columns]
    best = max((cell["value"] for cell in cells if cell), default=None)
    return {
        "value": row["value"],
        "n": row["n"],
        "cells": [{"accuracy": cell, "best": bool(cell) and cell["value"] == best} for cell in cells],
    }


def _count_axis(counts: list[float]) -> Axis:
    low, high = min(counts), max(counts)
    if low == high:
        return spanning_axis(counts)
    return Axis(start=low, stop=high, log=low > 0 and high / low >= 4)
