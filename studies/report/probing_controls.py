"""Every cell of a probing run with its controls and costs, its learning curves, and stages against stages."""

from collections.abc import Mapping
from typing import Any

from studies.report.geometry import Axis, interval_mark, line_chart, spanning_axis, ticks
from studies.report.leaderboard import View, difference_axis, excludes_zero
from studies.report.probing_grid import cells_of, columns, is_ok, numbered


def controls(summary: Mapping[str, Any], target: str) -> View:
    """All cells of a target, stages in data-flow order.

    Returns
    -------
    dict
        ``rows``, and which controls any of them has: ``has_rank``, ``has_random``.
    """
    label_of = {stage["name"]: stage["label"] for stage in summary["stages"]}
    found = cells_of(summary, target)
    rows = []
    for stage in numbered(summary["stages"]):
        for probe in summary["probes"]:
            cell = found.get((stage["name"], probe["name"]))
            if cell is None:
                continue
            random = cell["random_projector"]
            rows.append(
                {
                    **cell,
                    "stage_label": stage["label"],
                    "number": stage["number"],
                    "probe_label": probe["label"],
                    "is_ok": is_ok(cell),
                    "is_above_random": bool(random) and excludes_zero(random["difference"]),
                    "random_of": label_of.get(random["of"], random["of"]) if random else None,
                    "chosen": list((cell["chosen"] or {}).items()),
                }
            )
    return {
        "rows": rows,
        "has_rank": any(row["matched_rank"] for row in rows),
        "has_random": any(row["random_projector"] for row in rows),
    }


def curves(summary: Mapping[str, Any], target: Mapping[str, Any]) -> View | None:
    """Score against the number of training items: a panel per stage, a line per probe, on shared axes."""
    found = {
        key: sorted(cell["curve"], key=lambda point: point["n_train"])
        for key, cell in cells_of(summary, target["name"]).items()
        if cell["curve"]
    }
    points = [point for curve in found.values() for point in curve]
    if not points:
        return None
    counts = sorted({point["n_train"] for point in points})
    is_one = len(counts) == 1
    x_axis = spanning_axis(counts) if is_one else Axis(start=counts[0], stop=counts[-1], log=True)
    y_axis = spanning_axis(
        [target["chance"], *(point["score"]["value"] for point in points)], low=0.0, high=1.0
    )
    panels = []
    for stage in numbered(summary["stages"]):
        lines = []
        for column in columns(summary):
            curve = found.get((stage["name"], column["name"]))
            if curve:
                by_count = {point["n_train"]: point["score"] for point in curve}
                drawn = [(n, score["value"]) for n, score in by_count.items()]
                lines.append(
                    {
                        **column,
                        **line_chart(drawn, x_axis=x_axis, y_axis=y_axis),
                        "scores": [by_count.get(n) for n in counts],
                    }
                )
        if lines:
            panels.append(
                {
                    "label": stage["label"],
                    "number": stage["number"],
                    "lines": lines,
                    "x_ticks": [{"value": n, "at": x_axis.position(n)} for n in _ends(counts)],
                    "y_ticks": lines[0]["y_ticks"],
                    "chance_at": round(100 - y_axis.position(target["chance"]), 2),
                }
            )
    return {"panels": panels, "counts": counts}


def comparisons(summary: Mapping[str, Any]) -> list[View]:
    """One table per target of stages held against each other by the same probe, with marks around zero."""
    found = summary.get("comparisons") or ()
    if not found:
        return []
    stage_of = {stage["name"]: stage["label"] for stage in summary["stages"]}
    probe_of = {probe["name"]: probe["label"] for probe in summary["probes"]}
    axis = difference_axis([row["difference"] for row in found])
    tables = []
    for target in summary["targets"]:
        rows = [
            {
                **dict.fromkeys(("gains", "losses")),
                **row,
                "a_label": stage_of.get(row["a"], row["a"]),
                "b_label": stage_of.get(row["b"], row["b"]),
                "probe_label": probe_of.get(row["probe"], row["probe"]),
                "mark": interval_mark(row["difference"], axis),
                "is_clear": excludes_zero(row["difference"]),
            }
            for row in found
            if row["target"] == target["name"]
        ]
        if rows:
            tables.append(
                {
                    "label": target["label"],
                    "rows": rows,
                    "zero_at": axis.position(0),
                    "ticks": ticks(axis),
                    "long": len(rows) > 16,
                }
            )
    return tables


def _ends(counts: list[int]) -> list[int]:
    """Return the smallest, the middle and the largest number: those that get a place on the axis."""
    return sorted({counts[0], counts[len(counts) // 2], counts[-1]})
