"""The stages as such: what erasing a concept costs, how alike stages are, how many dimensions they fill."""

from collections.abc import Mapping
from typing import Any

from studies.report.geometry import interval_mark, spanning_axis, ticks
from studies.report.leaderboard import View, difference_axis, excludes_zero
from studies.report.probing_grid import DARKEST, numbered

GAP_LABELS = {
    "centroid_distance": "Distance between the mean image and the mean text, 0 to 2",
    "image_cosine": "Mean cosine of two images",
    "text_cosine": "Mean cosine of two texts",
    "pair_cosine": "Mean cosine of an image and its own text",
    "other_cosine": "Mean cosine of an image and another's text",
}
"""Measures of the modality gap in the order of the page."""


def erasure(summary: Mapping[str, Any]) -> list[View]:
    """Rows of concept and stage: what linear probe and forest read before and after."""
    stage_of, target_of, chance_of = _names(summary)
    return [
        {
            **row,
            "stage_label": stage_of.get(row["stage"], row["stage"]),
            "concept_label": target_of.get(row["concept"], row["concept"]),
            "chance": chance_of.get(row["concept"]),
            "others": [
                {**other, "label": target_of.get(other["target"], other["target"])}
                for other in row["other_targets"]
            ],
        }
        for row in summary.get("erasure") or ()
    ]


def answers_erased(summary: Mapping[str, Any]) -> View | None:
    """Answers of LLaVA with a concept erased from its image tokens, and with a random subspace erased."""
    found = summary.get("answers_erased") or ()
    if not found:
        return None
    stage_of, target_of, _ = _names(summary)
    axis = difference_axis([row["difference"] for row in found])
    return {
        "rows": [
            {
                **row,
                "stage_label": stage_of.get(row["stage"], row["stage"]),
                "concept_label": target_of.get(row["concept"], row["concept"]),
                "mark": interval_mark(row["difference"], axis),
                "is_clear": excludes_zero(row["difference"]),
                "against_random": row.get("against_random"),
                "is_beyond_random": bool(row.get("against_random")) and excludes_zero(row["against_random"]),
            }
            for row in found
        ],
        "zero_at": axis.position(0),
        "ticks": ticks(axis),
    }


def similarity(summary: Mapping[str, Any]) -> View | None:
    """Return the matrix of two stages or more with the tint of each cell."""
    told = summary.get("similarity")
    if not told or len(told["stages"]) < 2:
        return None
    known = {stage["name"]: stage for stage in numbered(summary["stages"])}
    stages = [known[name] for name in told["stages"]]
    return {
        "n": told["n"],
        "stages": stages,
        "rows": [
            {
                **stage,
                "cells": [
                    {
                        "value": value,
                        "tint": round(DARKEST * max(0.0, value or 0.0), 1),
                        "is_self": row == column,
                        "against": stages[column]["label"],
                    }
                    for column, value in enumerate(values)
                ],
            }
            for row, (stage, values) in enumerate(zip(stages, told["cka"], strict=True))
        ],
    }


def dimensions(summary: Mapping[str, Any]) -> View | None:
    """Intrinsic dimension of every stage beside the number of its columns."""
    known = {stage["name"]: stage for stage in numbered(summary["stages"])}
    rows = summary.get("dimension") or ()
    found = [row["estimate"] for row in rows if row["estimate"]]
    if not found:
        return None
    axis = spanning_axis([0.0, *(estimate["high"] for estimate in found)], low=0.0)
    return {
        "rows": [
            {
                "why_not": None,
                **known[row["stage"]],
                **row,
                "mark": interval_mark(row["estimate"], axis) if row["estimate"] else None,
            }
            for row in rows
        ],
        "ticks": ticks(axis),
        "level": found[0]["level"],
    }


def modality_gap(summary: Mapping[str, Any]) -> View | None:
    """Measures of the gap with what they are, and the number of pairs."""
    told = summary.get("modality_gap")
    if not told:
        return None
    return {
        "rows": [{"label": label, "value": told[name]} for name, label in GAP_LABELS.items() if name in told],
        "n": told.get("n"),
    }


def _names(summary: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str], dict[str, float]]:
    return (
        {stage["name"]: stage["label"] for stage in summary["stages"]},
        {target["name"]: target["label"] for target in summary["targets"]},
        {target["name"]: target["chance"] for target in summary["targets"]},
    )
