"""The report's first half: verdict, ladder, methods, comparisons, the figure without shared families."""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.report.geometry import Axis, interval_mark, spanning_axis, ticks
from studies.report.names import KINDS, kind_of, labels, reference

View = dict[str, Any]


def verdict(summary: Mapping[str, Any]) -> View:
    """Sentence, details and the few figures beside them."""
    told = summary["verdict"]
    against = reference(summary)
    chosen = _choice(summary)
    llm = next((m for m in summary["methods"] if m["name"] == against and m.get("accuracy")), None)
    gap = _find_comparison(summary.get("comparisons"), chosen["name"] if chosen else None, against)
    data = summary.get("data") or {}
    return {
        "sentence": told["sentence"],
        "details": told.get("details") or [],
        "llm": llm,
        "difference": gap,
        "choice": chosen,
        "n_questions": data.get("n_questions"),
        "n_families": data.get("n_families"),
    }


def ladder(summary: Mapping[str, Any]) -> View | None:
    """Rungs of the note beside what was measured."""
    rungs = summary.get("ladder")
    if not rungs:
        return None
    by_name = {method["name"]: method for method in summary["methods"]}
    rows = [{**rung, "measured": by_name.get(rung.get("method"))} for rung in rungs]
    found = [
        row["measured"]["accuracy"] for row in rows if row["measured"] and row["measured"].get("accuracy")
    ]
    axis = accuracy_axis(found)
    for row in rows:
        accuracy = row["measured"].get("accuracy") if row["measured"] else None
        row["accuracy"] = accuracy
        row["mark"] = interval_mark(accuracy, axis) if accuracy else None
        row["failed"] = bool(row["measured"]) and not is_ok(row["measured"])
    return {"rows": rows, "ticks": ticks(axis)}


def methods(summary: Mapping[str, Any]) -> View:
    """All methods, best first, with their places in the forest plot and their difference from the LLM."""
    against = reference(summary)
    scored = [m for m in summary["methods"] if m.get("accuracy")]
    axis = accuracy_axis([m["accuracy"] for m in scored])
    rows = []
    for method in sorted(summary["methods"], key=lambda m: -(m.get("accuracy") or {"value": -1})["value"]):
        accuracy = method.get("accuracy")
        rows.append(
            {
                **dict.fromkeys(OPTIONAL_COLUMNS),
                **method,
                "label": method.get("label") or method["name"],
                "kind": kind_of(method),
                "failed": not is_ok(method),
                "mark": interval_mark(accuracy, axis) if accuracy else None,
                "against": _find_comparison(summary.get("comparisons"), method["name"], against),
                "is_reference": method["name"] == against,
            }
        )
    llm = next((row for row in rows if row["is_reference"] and row["mark"]), None)
    return {
        "rows": rows,
        "ticks": ticks(axis),
        "reference_at": llm["mark"]["value"] if llm else None,
        "reference_label": llm["label"] if llm else None,
        "level": scored[0]["accuracy"]["level"] if scored else 0.95,
        "n_failed": sum(row["failed"] for row in rows),
        "key": [
            (kind, meaning) for kind, meaning in KINDS.items() if any(row["kind"] == kind for row in rows)
        ],
    }


OPTIONAL_COLUMNS = (
    "log_loss",
    "brier",
    "aurc",
    "augrc",
    "coverage_at_risk",
    "fit_s",
    "predict_s",
    "size_bytes",
    "n_features",
    "error",
    "accuracy",
)


def comparisons(rows: Sequence[Mapping[str, Any]] | None, name_of: Mapping[str, str]) -> View | None:
    """Paired differences in the order given, with their places around zero."""
    if not rows:
        return None
    axis = difference_axis([row["difference"] for row in rows])
    return {
        "rows": [
            {
                **row,
                "p_holm": row.get("p_holm"),
                "a_label": name_of.get(row["a"], row["a"]),
                "b_label": name_of.get(row["b"], row["b"]),
                "mark": interval_mark(row["difference"], axis),
                "is_clear": excludes_zero(row["difference"]),
            }
            for row in rows
        ],
        "zero_at": axis.position(0),
        "ticks": ticks(axis),
    }


def families_removed(summary: Mapping[str, Any]) -> View | None:
    """Accuracy on the official split beside accuracy with the held-out families removed from training."""
    removed = summary.get("families_removed")
    if not removed:
        return None
    official = {m["name"]: m.get("accuracy") for m in summary["methods"]}
    name_of = labels(summary) | labels(removed)
    pairs = [(m, official.get(m["name"]), m.get("accuracy")) for m in removed["methods"]]
    axis = accuracy_axis([accuracy for _, *both in pairs for accuracy in both if accuracy])
    rows = [
        {
            "label": name_of[method["name"]],
            "kind": kind_of(method),
            "failed": not is_ok(method),
            "official": before,
            "removed": after,
            "official_mark": interval_mark(before, axis) if before else None,
            "removed_mark": interval_mark(after, axis) if after else None,
            "change": after["value"] - before["value"] if before and after else None,
        }
        for method, before, after in pairs
    ]
    return {
        "n_families": removed.get("n_families"),
        "n_questions_removed": removed.get("n_questions_removed"),
        "rows": rows,
        "ticks": ticks(axis),
        "comparisons": comparisons(removed.get("comparisons"), name_of),
    }


def is_ok(method: Mapping[str, Any]) -> bool:
    """Whether the method ran; a failed one stays in every table, scored as chance."""
    return bool(method.get("status", "ok") == "ok")


def accuracy_axis(estimates: Sequence[Mapping[str, Any]]) -> Axis:
    """Axis of accuracies around all intervals, within 0 and 1."""
    return spanning_axis([e[end] for e in estimates for end in ("low", "high")], low=0.0, high=1.0)


def difference_axis(estimates: Sequence[Mapping[str, Any]]) -> Axis:
    """Axis of differences around all intervals and zero."""
    return spanning_axis([0.0, *(e[end] for e in estimates for end in ("low", "high"))], low=-1.0, high=1.0)


def excludes_zero(estimate: Mapping[str, Any]) -> bool:
    """Whether the interval lies on one side of zero."""
    return bool(estimate["low"] > 0 or estimate["high"] < 0)


def _choice(summary: Mapping[str, Any]) -> View | None:
    """Return the method that the run chose without the questions it is scored on, and why."""
    told = summary.get("choice") or {}
    chosen = next((m for m in summary["methods"] if m["name"] == told.get("method")), None)
    if chosen is None:
        return None
    return {
        "name": chosen["name"],
        "label": labels(summary)[chosen["name"]],
        "why": told.get("why"),
        "accuracy": chosen.get("accuracy"),
    }


def _find_comparison(
    rows: Sequence[Mapping[str, Any]] | None, method: str | None, against: str | None
) -> Mapping[str, Any] | None:
    """Comparison of a method with another; one listed the other way round is turned."""
    for row in rows or ():
        if (row["a"], row["b"]) == (method, against):
            return row
        if (row["b"], row["a"]) == (method, against):
            was = row["difference"]
            turned = {**was, "value": -was["value"], "low": -was["high"], "high": -was["low"]}
            return {
                **row,
                "a": method,
                "b": against,
                "difference": turned,
                "gains": row["losses"],
                "losses": row["gains"],
            }
    return None
