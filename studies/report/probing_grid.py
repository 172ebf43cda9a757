"""What each probe reads off each stage, per target: a figure along the stages, and grids of stages by probes.

Stages are rows in data-flow order and carry a number, which figures use where there is no room for a name. A
grid's tint repeats its numbers; nothing is told by colour alone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from studies.report.format import number, percent
from studies.report.geometry import Axis, dot_chart, line_chart, spanning_axis, spread
from studies.report.leaderboard import View

Cell = Mapping[str, Any]
Cells = Mapping[tuple[str, str], Cell]
"""Stage and probe (or target) to a cell."""
Height = Callable[[Cell], float | None]
"""What is better by being higher; None where a cell has it not."""
Further = Callable[[Cell], View]
"""What else a template is told of a cell."""

DARKEST = 28.0
"""Share of a tint, in per cent, at which text on it is still read easily."""
N_STYLES = 6
"""Lines that differ in colour and dashes; further probes begin again."""
LABEL_GAP = 8.0
"""Between labels at the ends of lines, in per cent of the figure's height."""
DODGE = 0.36
"""Room that the marks of one stage take up, in steps from stage to stage."""


def targets(summary: Mapping[str, Any]) -> list[View]:
    """Return one view per target: counts, figure, and grids of scores, selectivity, bits and information."""
    return [_target(target, place, summary) for place, target in enumerate(summary["targets"])]


def overview(summary: Mapping[str, Any]) -> View | None:
    """Return a grid of stages by targets for the first probe; None where there is one target only."""
    if len(summary["targets"]) < 2:
        return None
    probe = summary["probes"][0]
    found = {
        (cell["stage"], cell["target"]): cell for cell in summary["cells"] if cell["probe"] == probe["name"]
    }
    chance = {target["name"]: target["chance"] for target in summary["targets"]}

    def above(cell: Cell) -> float:
        return float(cell["score"]["value"] - chance[cell["target"]])

    rows = _grid(
        summary["stages"],
        summary["targets"],
        found,
        above,
        faint=0.0,
        further=lambda cell: {"above": above(cell)},
    )
    return {"probe": probe["label"], "rows": rows, "columns": summary["targets"]} if rows else None


def cells_of(summary: Mapping[str, Any], target: str) -> dict[tuple[str, str], Cell]:
    """Cells of a target by stage and probe."""
    return {(cell["stage"], cell["probe"]): cell for cell in summary["cells"] if cell["target"] == target}


def columns(summary: Mapping[str, Any]) -> list[View]:
    """Probes with the style of their line."""
    return [
        {"name": probe["name"], "label": probe["label"], "style": style_of(place)}
        for place, probe in enumerate(summary["probes"])
    ]


def style_of(place: int) -> int:
    """Return the number of the style of the probe at this place."""
    return place % N_STYLES + 1


def is_ok(cell: Cell | None) -> bool:
    """Whether a cell was measured."""
    return cell is not None and cell["status"] == "ok"


def _target(target: Mapping[str, Any], place: int, summary: Mapping[str, Any]) -> View:
    found = cells_of(summary, target["name"])

    def grid(height_of: Height, faint: float, further: Further = lambda cell: {}) -> list[View] | None:
        return _grid(summary["stages"], summary["probes"], found, height_of, faint=faint, further=further)

    return {
        **target,
        "number": place + 1,
        "columns": columns(summary),
        "n_failed": sum(not is_ok(cell) for cell in found.values()),
        "figure": stage_figure(target, summary),
        "scores": grid(lambda cell: cell["score"]["value"], target["chance"]),
        "selectivity": grid(
            lambda cell: cell["selectivity"] and cell["selectivity"]["difference"]["value"],
            0.0,
            lambda cell: {"is_above_zero": cell["selectivity"]["difference"]["low"] > 0},
        ),
        "bits": grid(
            lambda cell: cell["bits"] and -cell["bits"]["per_item"],
            -target["entropy_bits"],
        ),
        "usable": grid(lambda cell: cell["usable_bits"] and cell["usable_bits"]["value"], 0.0),
    }


def stage_figure(target: Mapping[str, Any], summary: Mapping[str, Any]) -> View | None:
    """Lines of score against stage, one per probe, with intervals and the chance level.

    Parameters
    ----------
    target, summary : mapping

    Returns
    -------
    dict or None
        ``lines`` with ``parts`` (a line breaks where a cell failed), ``dots`` and ``label_at``; None where
        nothing was measured.
    """
    found, stages = cells_of(summary, target["name"]), summary["stages"]
    scores = [cell["score"] for cell in found.values() if is_ok(cell)]
    if not scores:
        return None
    y_axis = spanning_axis(
        [target["chance"], *(score[end] for score in scores for end in ("low", "high"))], low=0.0, high=1.0
    )
    x_axis = Axis(start=0.0, stop=float(len(stages)))
    lines = []
    for column, shift in zip(columns(summary), _shifts(len(summary["probes"])), strict=True):
        points = [
            (place + 0.5 + shift, found[stage["name"], column["name"]]["score"])
            for place, stage in enumerate(stages)
            if is_ok(found.get((stage["name"], column["name"])))
        ]
        if not points:
            continue
        placed = [(x, score["value"]) for x, score in points]
        lines.append(
            {
                **column,
                "parts": [
                    line_chart(part, x_axis=x_axis, y_axis=y_axis)["line"] for part in _unbroken(placed)
                ],
                "dots": dot_chart(
                    placed,
                    bars=[(score["low"], score["high"]) for _, score in points],
                    x_axis=x_axis,
                    y_axis=y_axis,
                )["dots"],
                "last": points[-1][1]["value"],
            }
        )
    frame = dot_chart([(0.0, target["chance"])], x_axis=x_axis, y_axis=y_axis)
    ends = [line["dots"][-1]["y"] for line in lines] + [frame["dots"][0]["y"]]
    *label_at, chance_label_at = spread(ends, gap=LABEL_GAP, stop=100.0)
    for line, at in zip(lines, label_at, strict=True):
        line["label_at"] = at
    return {
        "lines": lines,
        "y_ticks": frame["y_ticks"],
        "chance_at": frame["dots"][0]["y"],
        "chance_label_at": chance_label_at,
        "stages": numbered(stages),
        "text": _told(target, summary, found),
    }


def numbered(stages: Sequence[Mapping[str, Any]]) -> list[View]:
    """Stages with their number in data-flow order."""
    return [{**stage, "number": place + 1} for place, stage in enumerate(stages)]


def _grid(
    stages: Sequence[Mapping[str, Any]],
    across: Sequence[Mapping[str, Any]],
    found: Cells,
    height_of: Height,
    *,
    faint: float,
    further: Further,
) -> list[View] | None:
    """Rows of stages, a cell per column; tinted from ``faint`` to the highest, the best of several marked.

    Failed cells stay; one that has no height is None.
    """
    heights = {
        key: height for key, cell in found.items() if is_ok(cell) and (height := height_of(cell)) is not None
    }
    if not heights:
        return None
    span = max(max(heights.values()) - faint, 1e-9)
    best = {column: max(h for (_, name), h in heights.items() if name == column) for _, column in heights}

    def shown(key: tuple[str, str]) -> View | None:
        cell = found.get(key)
        if cell is None or (is_ok(cell) and key not in heights):
            return None
        if not is_ok(cell):
            return {**cell, "tint": 0.0, "is_best": False}
        return {
            **cell,
            **further(cell),
            "tint": round(DARKEST * max(0.0, heights[key] - faint) / span, 1),
            "is_best": len(stages) > 1 and heights[key] == best[key[1]],
        }

    return [
        {**stage, "cells": [shown((stage["name"], column["name"])) for column in across]}
        for stage in numbered(stages)
    ]


def _shifts(n_probes: int) -> list[float]:
    """Shift of each probe's marks, so that intervals at one stage do not hide each other."""
    step = DODGE / n_probes
    return [(place - (n_probes - 1) / 2) * step for place in range(n_probes)]


def _unbroken(points: Sequence[tuple[float, float]]) -> Iterator[list[tuple[float, float]]]:
    """Yield runs of points at neighbouring stages."""
    for _, run in groupby(enumerate(points), key=lambda item: round(item[1][0] - points[0][0]) - item[0]):
        yield [point for _, point in run]


def _told(target: Mapping[str, Any], summary: Mapping[str, Any], found: Cells) -> str:
    """Say the figure in words: where each probe reads best."""
    label_of = {stage["name"]: stage["label"] for stage in summary["stages"]}
    told = []
    for probe in summary["probes"]:
        mine = [cell for (_, name), cell in found.items() if name == probe["name"] and is_ok(cell)]
        if mine:
            best = max(mine, key=lambda cell: cell["score"]["value"])
            told.append(
                f"{probe['label']} best at {label_of[best['stage']]}, {percent(best['score']['value'])} %"
            )
    return (
        f"Score for {target['label']} along {number(len(summary['stages']), 0)} stages, "
        f"chance {percent(target['chance'])} %. {'; '.join(told)}"
    )
