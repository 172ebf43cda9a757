"""The report of `stage_ablation`: one page and two tables, from its summary [edge].

Compute, summary, template: nothing is calculated here but places in figures. Left out: scripts.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.report import evidence, leaderboard
from studies.report.geometry import interval_mark, ticks
from studies.report.html import template_environment, write_page
from studies.report.names import labels

VARIANTS_FILE = "variants.csv"
PROBES_FILE = "probes.csv"


def render_ablation(summary: Mapping[str, Any]) -> str:
    """Return the page; the same for the same summary, byte by byte."""
    variants = summary["variants"]
    axis = leaderboard.accuracy_axis([row["accuracy_image"] for row in variants])
    reference = next(row for row in variants if row["name"] == summary["reference"])
    rows = [
        {
            **row,
            "mark": interval_mark(row["accuracy_image"], axis),
            "is_reference": row["name"] == summary["reference"],
            "last_loss": [
                {"stage": stage["name"], "loss": stage["loss"][-1][1], "n_steps": stage["n_steps"]}
                for stage in row["training"][0]["stages"]
            ],
        }
        for row in variants
    ]
    return (
        template_environment()
        .get_template("ablation.html")
        .render(
            title=summary["title"],
            verdict=summary["verdict"],
            data=summary["data"],
            rows=rows,
            reference=reference["label"],
            reference_at=axis.position(reference["accuracy_image"]["value"]),
            ticks=ticks(axis),
            level=reference["accuracy"]["level"],
            comparisons=leaderboard.comparisons(summary["comparisons"], labels(summary)),
            probes=summary["probes"],
            seeds=summary["seeds"],
            budget_frac=summary["budget_frac"],
            audit=evidence.audit(summary),
            provenance=evidence.provenance(summary),
            variants_file=VARIANTS_FILE,
            probes_file=PROBES_FILE,
        )
    )


def write_ablation_report(summary: Mapping[str, Any], out: Path) -> Path:
    """Write the page, and beside it both tables as CSV, unrounded; return the page's path."""
    write_page(_variants_csv(summary), out.with_name(VARIANTS_FILE))
    write_page(_probes_csv(summary), out.with_name(PROBES_FILE))
    return write_page(render_ablation(summary), out)


def _variants_csv(summary: Mapping[str, Any]) -> str:
    rows = []
    for row in summary["variants"]:
        told = {"variant": row["name"], "label": row["label"]}
        for name in ("accuracy", "accuracy_image", "difference", "difference_image"):
            for part in ("value", "low", "high"):
                told[f"{name}_{part}"] = row[name][part] if row[name] else None
        variation = row["variation"] or {}
        told |= {
            "paper_difference": row["paper"],
            "seed_sd": variation.get("seed_sd"),
            "sd_of_mean_by_seed": variation.get("of_mean_by_seed"),
            "sd_of_mean_by_question": variation.get("of_mean_by_question"),
            "n_seeds": len(summary["seeds"]),
            "n_questions": row["accuracy"]["n"],
            "n_image_questions": row["accuracy_image"]["n"],
            "n_connection_weights": row["n_connection"],
            "n_image_tokens": row["n_image_tokens"],
            "training_s": row["seconds"],
        }
        rows.append(told)
    return _csv(rows)


def _probes_csv(summary: Mapping[str, Any]) -> str:
    rows = []
    for row in summary["probes"]["rows"]:
        for probe, cell in row["cells"].items():
            difference = cell["difference"] or {}
            rows.append(
                {
                    "variant": row["name"],
                    "probe": probe,
                    **{f"score_{part}": cell["score"][part] for part in ("value", "low", "high")},
                    **{f"difference_{part}": difference.get(part) for part in ("value", "low", "high")},
                    "chance": summary["probes"]["chance"][probe],
                    "n_questions": cell["score"]["n"],
                }
            )
    return _csv(rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
