"""The report as Markdown: the verdict and every table, rounded as in the page. Left out: pictures."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from studies.report import format as written
from studies.report.heads import head
from studies.report.names import labels
from studies.report.tables import Row, flat_tables

TITLES: Mapping[str, tuple[str, str]] = {
    "parts": ("What was compared", ""),
    "gaps": ("What is missing", ""),
    "audit": ("Audit", ""),
    "methods": ("Methods", "Accuracy in per cent; log-loss, Brier score, AURC and AUGRC: lower is better."),
    "cost": ("Accuracy against cost", "On the front: no other method is as accurate at less cost."),
    "comparisons": (
        "Comparisons",
        "Paired on the same questions; differences in points.",
    ),
    "families_removed": ("With the held-out families removed", ""),
    "families_removed_comparisons": ("Comparisons without shared families", ""),
    "slices": ("Slices", ""),
    "complementarity_pairs": ("Who is right where another is wrong", "Counts of questions."),
    "complementarity_alone": ("Alone against all", "Counts of questions."),
    "weights": ("Weights of the stacks", ""),
    "without_members": ("Stacks without each member", "Without minus with, in points."),
    "importance": ("With each block of features shuffled", "What is lost, in points."),
    "ablation": ("Ablation by block of features", "Without minus with, in points."),
    "curves": ("Accuracy and fit time against M", ""),
    "calibration": (
        "Calibration",
        "Mean distance of accuracy from confidence, overconfidence: points.",
    ),
    "positions": ("Order of the options", ""),
    "llava_scores": ("LLaVA: how the answers were taken", ""),
    "llava_skills": ("LLaVA by skill", ""),
    "tuning": ("Tuning", ""),
}
"""Tables in the order of the report: title and what is to be known before reading."""
PERCENT = (
    *("accuracy", "accuracy_image", "chance", "inner_accuracy", "outer_accuracy", "score"),
    *("either", "error_overlap", "distance"),
    *("floor", "true_labels", "random_labels", "equal_rank_score", "random_map_score", "fraction_negative"),
    "memory_frac",
    *("linear_before", "linear_after", "forest_before", "forest_after", "before", "after", "random"),
)
POINTS = (
    *("difference", "difference_image", "paper", "accuracy_lost", "accuracy_lost_with_image"),
    *("error", "overconfidence", "selectivity", "above_random_map", "against_random"),
)
SECONDS = ("fit_s", "predict_s", "seconds", "cost")
P_VALUES = ("mcnemar_p", "p", "p_holm")
LEFT_OUT = (
    "level",
    "chosen",
    "blocks",
    "n_shuffles",
    "params",
    "journal",
    "reproducible",
    "fingerprint",
    "label",
)
"""Columns that stand in the CSV files only."""


def render_markdown(summary: Mapping[str, Any]) -> str:
    """Report of a study as Markdown.

    Parameters
    ----------
    summary : Mapping
        Content of ``summary.json``; parts that are null, empty or absent are left out.

    Returns
    -------
    str
        The same for the same input.
    """
    return write_markdown(summary, flat_tables(summary), TITLES, labels(summary))


def write_markdown(
    summary: Mapping[str, Any],
    tables: Mapping[str, Sequence[Row]],
    titles: Mapping[str, tuple[str, str]],
    name_of: Mapping[str, str],
) -> str:
    """Verdict, tables and provenance of any study as Markdown.

    Parameters
    ----------
    summary : Mapping
        ``title``, ``verdict`` and, where there are, ``data`` and ``provenance`` are read.
    tables : Mapping
        Name to rows, see `studies.report.tables.flat`.
    titles : Mapping
        Tables in order: title and what is to be known before reading; others are left out.
    name_of : Mapping
        Name in a cell to what is written for it.
    """
    told, data = summary["verdict"], summary.get("data") or {}
    lines = [f"# {_text(summary['title'])}", "", f"**{_text(told['sentence'])}**", ""]
    lines += [f"- {_text(detail)}" for detail in told.get("details") or ()]
    if data.get("protocol"):
        lines += ["", _text(data["protocol"])]
    for name, (title, lead) in titles.items():
        if name in tables:
            lines += ["", f"## {title}", ""]
            lines += [lead, ""] if lead else []
            lines += table_lines(tables[name], name_of)
    lines += _provenance(summary.get("provenance") or {})
    return "\n".join(lines).rstrip() + "\n"


def table_lines(rows: Sequence[Row], name_of: Mapping[str, str]) -> list[str]:
    """Return a Markdown table: an estimate in one column with its interval, names as labels."""
    columns = [column for column in rows[0] if not _is_edge(column, rows[0]) and column not in LEFT_OUT]
    columns = [column for column in columns if any(row[column] is not None for row in rows)]
    numeric = {c: all(row[c] is None or isinstance(row[c], int | float) for row in rows) for c in columns}
    lines = [
        "| " + " | ".join(_text(head(column)) for column in columns) + " |",
        "|" + "|".join("---:" if numeric[column] else "---" for column in columns) + "|",
    ]
    return lines + ["| " + " | ".join(_cell(row, c, name_of) for c in columns) + " |" for row in rows]


def _cell(row: Row, column: str, name_of: Mapping[str, str]) -> str:
    value = row[column]
    if isinstance(value, str):
        return _text(value if column == "block" else name_of.get(value, value))
    write = _writer(column)
    text = write(value)
    if row.get(f"{column}_low") is not None and row.get(f"{column}_high") is not None:
        text += f" [{write(row[f'{column}_low'])} to {write(row[f'{column}_high'])}]"
    return text


def _writer(column: str) -> Callable[[Any], str]:
    if column in PERCENT:
        return written.percent
    if column in POINTS:
        return written.points
    if column in SECONDS:
        return written.seconds
    if column in P_VALUES:
        return written.p_value
    if column == "size_bytes":
        return written.size
    return lambda value: written.number(value) if isinstance(value, float) else written.plain(value)


def _is_edge(column: str, row: Row) -> bool:
    """Whether a column is the interval or the count of another one."""
    found = re.fullmatch(r"(.+)_(low|high|n)", column)
    return found is not None and found[1] in row


def _provenance(told: Mapping[str, Any]) -> list[str]:
    lines = ["", "## Provenance", ""] if told else []
    if told.get("command"):
        lines += [f"    {' '.join(str(told['command']).split())}", ""]
    for key, value in told.items():
        if key not in ("command", "step_seconds") and value is not None:
            lines.append(f"- {written.sentence_case(key)}: {_text(written.plain(value))}")
    return lines


def _text(text: object) -> str:
    """Keep a text on its line and out of Markdown's and HTML's way."""
    line = " ".join(str(text).split())
    return re.sub(r"([\\|<>`*_\[\]])", r"\\\1", line)
