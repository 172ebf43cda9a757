"""Tuned studies as one table for the terminal, 80 columns wide; the page says how each figure came about."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studies.progress import printable
from studies.report.format import MISSING, NARROW_SPACE, number, seconds, signed

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

DIGITS = 3
LONGEST_LABEL = 20
FOOT = (
    "Differences: tuned minus rival, paired, below zero tuning lost less; "
    "* where the interval leaves zero out. ~ an estimate: pruned steps were not run."
)


def tuning_table(views: Sequence[Mapping[str, Any]]) -> "Table":
    """Return the table of `studies.report.optuna_view.study_view`.

    Columns: method, trials, inner best, outer score, their gap, difference to the defaults and to a random
    search, seconds saved by pruning, parameters of the best trial at the edge of their range.
    """
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), caption=FOOT, caption_justify="left")
    table.add_column("method", no_wrap=True, overflow="ellipsis", max_width=LONGEST_LABEL)
    for head in ("trials", "inner", "outer", "gap", "default", "random", "saved", "edge"):
        table.add_column(head, justify="right", no_wrap=True)
    for view in views:
        table.add_row(*_row(view))
    return table


def _row(view: Mapping[str, Any]) -> "list[str | Text]":
    from rich.text import Text

    found, bias, saved = view["comparison"] or {}, view["bias"] or {}, view["saved"]
    outer = bias.get("outer")
    return [
        Text(printable(view["label"])),
        f"{view['n_trials']:,}",
        number(view["best"]["value"] if view["best"] else None, DIGITS),
        number(outer["value"] if outer else None, DIGITS),
        signed(bias.get("gap"), DIGITS),
        _difference(found.get("default")),
        _difference(found.get("random")),
        "0" if saved is None else f"~{seconds(saved['seconds']).replace(NARROW_SPACE, '')}",
        f"{len(view['edges'])}",
    ]


def _difference(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return MISSING
    estimate = row["rechosen"] or row["difference"]
    shown = "*" if estimate["high"] < 0 or estimate["low"] > 0 else ""
    return f"{signed(estimate['value'], DIGITS)}{shown}"
