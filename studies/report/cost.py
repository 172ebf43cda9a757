"""The report on cost: accuracy against seconds, and which methods no other beats at less cost."""

from collections.abc import Mapping
from typing import Any

from studies.report.format import percent, seconds
from studies.report.geometry import Axis, dot_chart
from studies.report.leaderboard import View, accuracy_axis
from studies.report.names import kind_of, labels

TITLES = {"fit_s": "Time to fit", "predict_s": "Time to predict"}
CHEAPEST_S = 1e-4
"""Less is drawn at this place: a logarithmic axis has no zero."""


def costs(summary: Mapping[str, Any]) -> list[View]:
    """One figure per cost with a table of its front, the cheapest first."""
    name_of = labels(summary)
    by_name = {method["name"]: method for method in summary["methods"]}
    views = []
    for found in summary.get("cost_fronts") or ():
        scored = [p for p in found["points"] if by_name.get(p["method"], {}).get("accuracy")]
        if not scored:
            continue
        points = sorted(scored, key=lambda point: point["cost"])
        drawn = [max(point["cost"], CHEAPEST_S) for point in points]
        x_axis = Axis(start=min(drawn) / 1.6, stop=max(drawn) * 1.6, log=True)
        accuracies = [by_name[point["method"]]["accuracy"] for point in points]
        chart = dot_chart(
            [(cost, point["accuracy"]) for cost, point in zip(drawn, points, strict=True)],
            bars=[(one["low"], one["high"]) for one in accuracies],
            x_axis=x_axis,
            y_axis=accuracy_axis(accuracies),
        )
        rows = [
            {
                **point,
                "label": name_of[point["method"]],
                "kind": kind_of(by_name[point["method"]]),
                "estimate": accuracy,
                "number": place + 1,
                **dot,
            }
            for place, (point, accuracy, dot) in enumerate(
                zip(points, accuracies, chart["dots"], strict=True)
            )
        ]
        front = [row for row in rows if row["on_front"]]
        told = ", ".join(
            f"{row['label']} {percent(row['accuracy'])} % in {seconds(row['cost'])}" for row in front
        )
        views.append(
            {
                "title": TITLES.get(found["cost"], found["cost"]),
                "chart": chart,
                "rows": rows,
                "text": f"Accuracy against {TITLES.get(found['cost'], found['cost']).lower()}. Not beaten at "
                f"less cost: {told}",
            }
        )
    return views
