"""The report on confidence: reliability diagrams, risk-coverage curves, and where options stand."""

from collections.abc import Mapping
from typing import Any

from studies.report.format import number, percent, points
from studies.report.geometry import Axis, dot_chart, line_chart, spanning_axis, ticks
from studies.report.leaderboard import View
from studies.report.names import kind_of, labels, principal

WHOLE = Axis(start=0.0, stop=1.0)


def calibration(summary: Mapping[str, Any]) -> View | None:
    """Return a panel per principal method, and a table of all."""
    found = {row["method"]: row for row in summary.get("calibration") or ()}
    if not found:
        return None
    name_of = labels(summary)
    by_name = {method["name"]: method for method in summary["methods"]}
    rows = [
        {
            "label": name_of.get(name, name),
            "kind": kind_of(by_name.get(name, {})),
            "error": row["error"],
            "overconfidence": row["overconfidence"],
            "log_loss": by_name.get(name, {}).get("log_loss"),
            "n_bins": len(row["bins"]),
        }
        for name, row in found.items()
    ]
    rows.sort(key=lambda row: row["error"])
    return {
        "panels": [_reliability(found[name], name_of, by_name) for name in principal(summary, of=found)],
        "rows": rows,
    }


def risk_coverage(summary: Mapping[str, Any]) -> View | None:
    """Return a panel per principal method, the others' curves behind its own."""
    found = {row["method"]: row["points"] for row in summary.get("risk_coverage") or () if row["points"]}
    if not found:
        return None
    name_of = labels(summary)
    by_name = {method["name"]: method for method in summary["methods"]}
    shown = principal(summary, of=found)
    if not shown:
        return None
    y_axis = spanning_axis([0.0, *(risk for name in shown for _, risk in found[name])], low=0.0, high=1.0)
    charts = {name: line_chart(found[name], x_axis=WHOLE, y_axis=y_axis) for name in shown}
    panels = []
    for name in shown:
        method = by_name.get(name, {})
        last = found[name][-1][1]
        panels.append(
            {
                "label": name_of.get(name, name),
                "kind": kind_of(method),
                "chart": charts[name],
                "behind": [charts[other]["line"] for other in shown if other != name],
                "text": f"Risk against coverage of {name_of.get(name, name)}: {percent(last)} % errors when "
                f"all is answered, area {number(method.get('aurc'))}",
                "aurc": method.get("aurc"),
                "coverage": method.get("coverage_at_risk"),
                "points": found[name],
            }
        )
    return {"panels": panels}


def positions(summary: Mapping[str, Any]) -> View | None:
    """Return how often each place is right and chosen, as shares, most biased method first."""
    told = summary.get("positions")
    if not told or not told.get("right"):
        return None
    name_of = labels(summary)
    total = sum(told["right"])
    rows = [
        {
            "label": name_of.get(row["method"], row["method"]),
            "shares": [value / sum(row["chosen"]) if sum(row["chosen"]) else None for value in row["chosen"]],
            "distance": row["distance"],
        }
        for row in told["methods"]
    ]
    rows.sort(key=lambda row: -(row["distance"] or 0.0))
    checks = [
        check
        for check in (summary.get("audit") or {}).get("checks") or ()
        if "order" in check["name"] or "permutation" in check["name"]
    ]
    return {
        "places": [
            chr(ord("A") + place) if place < 26 else str(place + 1) for place in range(len(told["right"]))
        ],
        "right": [value / total for value in told["right"]],
        "rows": rows,
        "checks": checks,
    }


def _reliability(row: Mapping[str, Any], name_of: Mapping[str, str], by_name: Mapping[str, Any]) -> View:
    label = name_of.get(row["method"], row["method"])
    bins = row["bins"]
    chart = dot_chart(
        [(one["confidence"], one["accuracy"]["value"]) for one in bins],
        bars=[(one["accuracy"]["low"], one["accuracy"]["high"]) for one in bins],
        x_axis=WHOLE,
        y_axis=WHOLE,
    )
    lean = "overconfident" if row["overconfidence"] > 0 else "underconfident"
    return {
        "label": label,
        "kind": kind_of(by_name.get(row["method"], {})),
        "chart": {**chart, "x_ticks": ticks(WHOLE)},
        "bins": bins,
        "error": row["error"],
        "overconfidence": row["overconfidence"],
        "text": f"Accuracy against confidence of {label} in {len(bins)} bins: mean distance "
        f"{percent(row['error'])} points, {lean} by {points(abs(row['overconfidence']))} points",
    }
