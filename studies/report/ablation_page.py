"""The report of `stage_ablation`: one page, the same as Markdown, and two tables, from its summary [edge].

Compute, summary, template: nothing is calculated here but places in figures.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from studies.report import evidence, leaderboard
from studies.report import format as written
from studies.report.geometry import interval_mark, ticks
from studies.report.html import MARKDOWN_FILE, template_environment, write_page
from studies.report.markdown import write_markdown
from studies.report.names import labels
from studies.report.tables import Row, as_csv, flat, same_columns

VARIANTS_FILE = "variants.csv"
PROBES_FILE = "probes.csv"
TITLES = {
    "variants": ("Variants", "Accuracy in per cent, of all and of image questions; differences in points."),
    "comparisons": ("Comparisons", "All questions, paired, with Holm's correction; differences in points."),
    "probes": (
        "Probes",
        "Scores in per cent, change against the reference and selectivity in points.",
    ),
}


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
            "with_seeds": _with_seeds(row, is_reference=row["name"] == summary["reference"]),
            "last_loss": [
                {"stage": stage["name"], "loss": stage["loss"][-1][1], "n_steps": stage["n_steps"]}
                for stage in row["training"][0]["stages"]
            ],
            "n_steps": sum(stage["n_steps"] for stage in row["training"][0]["stages"]),
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
            markdown_file=MARKDOWN_FILE,
            variants_file=VARIANTS_FILE,
            probes_file=PROBES_FILE,
        )
    )


def render_ablation_markdown(summary: Mapping[str, Any]) -> str:
    """Return the page's verdict and tables as Markdown."""
    told = ("accuracy", "accuracy_image", "difference", "difference_image", "paper", "n_image_tokens")
    tables: dict[str, list[Row]] = {
        "variants": [
            {"variant": row["name"]} | flat({key: row[key] for key in told}) for row in summary["variants"]
        ],
        "comparisons": [flat(row) for row in summary["comparisons"]],
        "probes": _probe_rows(summary),
    }
    found = {name: same_columns(rows) for name, rows in tables.items() if rows}
    return write_markdown(summary, found, TITLES, labels(summary) | summary["probes"]["labels"])


def write_ablation_report(summary: Mapping[str, Any], out: Path) -> Path:
    """Write the page, and beside it Markdown and both tables as CSV, unrounded; return the page's path."""
    write_page(render_ablation_markdown(summary), out.with_name(MARKDOWN_FILE))
    write_page(_variants_csv(summary), out.with_name(VARIANTS_FILE))
    write_page(as_csv(same_columns(_probe_rows(summary))), out.with_name(PROBES_FILE))
    return write_page(render_ablation(summary), out)


def _with_seeds(row: Mapping[str, Any], *, is_reference: bool) -> str:
    """Write the interval that holds for other seeds too, of the accuracy or of the change."""
    told = row["variation"]
    if told is None:
        return ""
    write = written.percent if is_reference else written.points
    return f"{write(told['low'])} to {write(told['high'])}"


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
            "low_with_seeds": variation.get("low"),
            "high_with_seeds": variation.get("high"),
            "n_seeds": len(summary["seeds"]),
            "n_questions": row["accuracy"]["n"],
            "n_image_questions": row["accuracy_image"]["n"],
            "n_connection_weights": row["n_connection"],
            "n_image_tokens": row["n_image_tokens"],
            "training_s": row["seconds"],
        }
        rows.append(told)
    return as_csv(rows)


def _probe_rows(summary: Mapping[str, Any]) -> list[Row]:
    return [
        {"variant": row["name"], "probe": probe}
        | flat({**cell, "chance": summary["probes"]["chance"][probe]})
        for row in summary["probes"]["rows"]
        for probe, cell in row["cells"].items()
    ]
