"""Several runs on one page: leaderboard side by side, differences, seeds; and the table of the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from studies.report.format import percent, percent_interval, plain, sentence_case
from studies.report.geometry import interval_mark, ticks
from studies.report.html import template_environment, write_page
from studies.report.leaderboard import View, accuracy_axis, difference_axis, excludes_zero
from studies.report.names import kind_of

MOST_ROWS = 20
"""Methods that the terminal shows."""
WIDEST_NAME = 26


def write_comparison(compared: Mapping[str, Any], out: Path) -> Path:
    """Write the page; the same input gives the same bytes.

    Parameters
    ----------
    compared : mapping
        What `studies.catalog.compare.compare_runs` returns.
    out : Path
        File to write, replaced as a whole.
    """
    page = (
        template_environment()
        .get_template("compare.html")
        .render(
            title=f"{len(compared['runs'])} runs of {compared['study']}",
            sentence=compared["sentence"],
            notes=compared["notes"],
            level=compared["level"],
            runs=_runs(compared["runs"]),
            leaderboard=_leaderboard(compared),
            pairs=[_pair(pair) for pair in compared["pairs"]],
            seeds=compared["seeds"],
        )
    )
    return write_page(page, out)


def terminal_rows(compared: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Return head and rows of the terminal's table: accuracy in per cent, with its interval where it fits.

    Up to three runs fit 80 columns with intervals; more are shown without, and the last ones are left to the
    page.
    """
    names = [run["name"] for run in compared["runs"]]
    shown = names[:6]
    with_interval = len(shown) <= 2
    room = 80 - WIDEST_NAME - 3
    width = max(5, room // len(shown) - 2)
    head = ["Method", *(name if len(name) <= width else f"..{name[-(width - 2) :]}" for name in shown)]
    rows = []
    for row in compared["leaderboard"][:MOST_ROWS]:
        cells = []
        for cell in row["cells"][: len(shown)]:
            text = "" if cell is None else percent(cell["accuracy"]["value"])
            if cell is not None and with_interval:
                text += f" [{percent_interval(cell['accuracy'])}]"
            cells.append(text)
        rows.append([row["label"][:WIDEST_NAME], *cells])
    return head, rows


def _runs(runs: Sequence[Mapping[str, Any]]) -> list[View]:
    return [
        {
            **run,
            "number": place + 1,
            "differs": [(sentence_case(key), plain(value)) for key, value in run["differs"].items()],
        }
        for place, run in enumerate(runs)
    ]


def _leaderboard(compared: Mapping[str, Any]) -> View:
    rows = compared["leaderboard"]
    axis = accuracy_axis([cell["accuracy"] for row in rows for cell in row["cells"] if cell])
    return {
        "rows": [
            {
                "label": row["label"],
                "kind": kind_of(row),
                "cells": row["cells"],
                "marks": [
                    {**interval_mark(cell["accuracy"], axis), "number": place + 1} if cell else None
                    for place, cell in enumerate(row["cells"])
                ],
            }
            for row in rows
        ],
        "ticks": ticks(axis),
    }


def _pair(pair: Mapping[str, Any]) -> View:
    axis = difference_axis([row["difference"] for row in pair["rows"]])
    return {
        **pair,
        "rows": [
            {
                **row,
                "mark": interval_mark(row["difference"], axis),
                "is_clear": excludes_zero(row["difference"]),
            }
            for row in sorted(pair["rows"], key=lambda row: -row["difference"]["value"])
        ],
        "zero_at": axis.position(0),
        "ticks": ticks(axis),
    }
