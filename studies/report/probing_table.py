"""What probes read off each stage, as tables for the terminal, 80 columns wide; the page says the rest."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from studies.report.format import MISSING, percent, percent_interval

if TYPE_CHECKING:
    from rich.table import Table

LONGEST_LABEL = 24
WITH_INTERVAL = "linear"
FOOT = (
    "Per cent of {unit} that are read right, linear with its {level:g} % interval; chance {chance} %, "
    "n = {n}. m: no better than on random labels of families, so it may remember them."
)
NO_FAMILIES = " No family was named: near copies on both sides of the split show nowhere, not as m."


def probing_tables(summary: Mapping[str, Any]) -> "list[tuple[Table, str]]":
    """Return a table per target, a row per stage and a column per family of probes; and what it tells."""
    return [(_table(target, summary), _foot(target, summary)) for target in summary["targets"]]


def _foot(target: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    level = next(cell["score"]["level"] for cell in summary["cells"] if cell["target"] == target["name"])
    foot = FOOT.format(
        unit=summary["data"]["unit"],
        level=100 * level,
        chance=percent(target["chance"]),
        n=f"{target['n_test']:,}",
    )
    return foot if summary["data"]["has_families"] else foot + NO_FAMILIES


def _table(target: Mapping[str, Any], summary: Mapping[str, Any]) -> "Table":
    from rich.table import Table

    cells = {
        (cell["stage"], cell["probe"]): cell for cell in summary["cells"] if cell["target"] == target["name"]
    }
    table = Table(title=target["label"], title_justify="left", box=None, padding=(0, 1, 0, 0))
    table.add_column("stage", no_wrap=True, overflow="ellipsis", max_width=LONGEST_LABEL)
    for probe in summary["probes"]:
        table.add_column(probe["name"], justify="right", no_wrap=True)
    for stage in summary["stages"]:
        row = [cells.get((stage["name"], probe["name"])) for probe in summary["probes"]]
        if any(row):
            table.add_row(stage["label"], *_row(row, summary["probes"]))
    return table


def _row(cells: Sequence[Mapping[str, Any] | None], probes: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        MISSING if cell is None else _score(cell, with_interval=probe["name"] == WITH_INTERVAL)
        for cell, probe in zip(cells, probes, strict=True)
    ]


def _score(cell: Mapping[str, Any], *, with_interval: bool) -> str:
    if cell["status"] != "ok":
        return "failed"
    shown = percent(cell["score"]["value"])
    if with_interval:
        shown += f" [{percent_interval(cell['score'])}]"
    return shown + ("" if cell["selectivity"]["difference"]["low"] > 0 else "m")
