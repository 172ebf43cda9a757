"""A probing run as flat tables, unrounded, for CSV files and the Markdown report.

Left out: questions, which may not be copied out of a data set.
"""

import json
from collections.abc import Mapping
from typing import Any

from studies.report.tables import Row, Summary, flat, same_columns

TITLES: Mapping[str, tuple[str, str]] = {
    "stages": ("Stages", "In data-flow order."),
    "targets": (
        "Targets",
        "Chance in per cent; entropy: bits per label without vectors; memory: per cent of the items that "
        "selectivity is scored on whose family is learned from.",
    ),
    "cells": (
        "Cells",
        "Score, floor (shuffled labels) and controls in per cent, differences in points. Selectivity: true "
        "minus random labels, on a random split. Description length and usable information: bits per item.",
    ),
    "comparisons": ("Stage against stage", "Paired; differences in points, p by Holm over the table."),
    "hard": ("Usable information per item", "Bits, at each item's best stage."),
    "hard_slices": ("Usable information by slice", "Bits, at each item's best stage."),
    "erasure": ("Erasure", "Score in per cent before and after LEACE."),
    "erasure_others": ("What other targets lose", "Score of the linear probe in per cent."),
    "answers_erased": ("LLaVA's answers with a concept erased", "Per cent; change in points."),
    "similarity": ("Similarity of stages", "Debiased CKA."),
    "dimension": ("Intrinsic dimension", ""),
    "modality_gap": ("Modality gap", ""),
    "audit": ("Audit", ""),
}
"""Tables in the order of the Markdown report: title and what is to be known before reading."""


def probing_tables(summary: Summary) -> dict[str, list[Row]]:
    """Return every table by name; those without rows are left out."""
    gap = summary.get("modality_gap")
    rows = {
        "stages": list(summary["stages"]),
        "targets": list(summary["targets"]),
        "cells": [_cell(cell) for cell in summary["cells"]],
        "curves": [
            {"target": cell["target"], "stage": cell["stage"], "probe": cell["probe"], **point}
            for cell in summary["cells"]
            for point in cell["curve"]
        ],
        "comparisons": list(summary.get("comparisons") or ()),
        **_hard({target: told for target, told in (summary.get("hard") or {}).items() if told}),
        "erasure": [
            {
                **{key: row[key] for key in ("concept", "stage", "n_classes", "rank")},
                **{
                    f"{probe}_{when}": row[when].get(probe)
                    for probe in ("linear", "forest")
                    for when in ("before", "after")
                },
            }
            for row in summary.get("erasure") or ()
        ],
        "erasure_others": [
            {"concept": row["concept"], "stage": row["stage"], **other}
            for row in summary.get("erasure") or ()
            for other in row["other_targets"]
        ],
        "answers_erased": list(summary.get("answers_erased") or ()),
        "similarity": _similarity(summary.get("similarity")),
        "dimension": [
            {
                "stage": row["stage"],
                "columns": row["ambient"],
                "dimension": row["estimate"],
                "why_not": row.get("why_not"),
            }
            for row in summary.get("dimension") or ()
        ],
        "modality_gap": [{"measure": key, "value": value} for key, value in gap.items()] if gap else [],
        "audit": list((summary.get("audit") or {}).get("checks") or ()),
    }
    return {name: same_columns([flat(row) for row in found]) for name, found in rows.items() if found}


def names(summary: Summary) -> dict[str, str]:
    """Label of every stage, probe and target by its name."""
    return {row["name"]: row["label"] for kind in ("stages", "probes", "targets") for row in summary[kind]}


def _cell(cell: Mapping[str, Any]) -> Row:
    """One cell without its curve, controls under names of their own."""
    selectivity, bits = cell["selectivity"] or {}, cell["bits"] or {}
    rank, random = cell["matched_rank"] or {}, cell["random_projector"] or {}
    return {
        **{key: cell[key] for key in ("target", "stage", "probe", "score", "floor")},
        "true_labels": selectivity.get("real"),
        "random_labels": selectivity.get("control"),
        "selectivity": selectivity.get("difference"),
        "bits_per_item": bits.get("per_item"),
        **{key: bits.get(key) for key in ("compression", "total", "uniform", "prior")},
        "usable_bits": cell["usable_bits"],
        "equal_rank": rank.get("rank"),
        "equal_rank_score": rank.get("score"),
        "random_map_of": random.get("of"),
        "random_map_score": random.get("score"),
        "above_random_map": random.get("difference"),
        **{key: cell[key] for key in ("fit_s", "predict_s", "size_bytes")},
        "chosen": json.dumps(cell["chosen"]) if cell["chosen"] else None,
        **{key: cell[key] for key in ("status", "error")},
    }


def _hard(hard: Mapping[str, Any]) -> dict[str, list[Row]]:
    return {
        "hard": [
            {
                "target": target,
                "probe": told["probe"],
                "n": told["n"],
                "fraction_negative": told["fraction_negative"],
                **{f"quantile_{share}": bits for share, bits in told["quantiles"].items()},
            }
            for target, told in hard.items()
        ],
        "hard_items": [
            {"target": target, "example_id": item["example_id"], "stage": stage, "bits": bits}
            for target, told in hard.items()
            for item in told["items"]
            for stage, bits in item["bits"].items()
        ],
        "hard_slices": [
            {"target": target, **row} for target, told in hard.items() for row in told["by_slice"]
        ],
    }


def _similarity(told: Mapping[str, Any] | None) -> list[Row]:
    if not told:
        return []
    return [
        {"stage": stage, **dict(zip(told["stages"], values, strict=True))}
        for stage, values in zip(told["stages"], told["cka"], strict=True)
    ]
