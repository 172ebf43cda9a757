"""What the figures of a run say, in words: one sentence, then what supports or limits it.

Words follow intervals and corrected tests: a difference whose interval includes zero, or whose p is not small
once corrected for the number of comparisons, is called open, whatever its sign.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.catalog.methods import describe
from studies.report.format import percent, percent_interval, points, points_interval

Row = Mapping[str, Any]


def verdict(
    methods: Sequence[Row],
    comparisons: Sequence[Row],
    *,
    evaluated_on: str,
    reference: str | None,
    chosen: str | None = None,
    removed: Row | None = None,
    checks: Sequence[Row] = (),
) -> dict[str, Any]:
    """Return ``sentence`` and ``details``.

    Parameters
    ----------
    methods, comparisons : sequence of mapping
        As in ``summary.json``.
    evaluated_on : str
    reference : str or None
        LLM that the ensembles are held against.
    chosen : str, optional
        Ensemble that was chosen without the questions it is scored on; the sentence is about it. Without one
        the sentence is about the first ensemble, and never about the winner of the test itself.
    removed : mapping, optional
        The second figure, with the held-out families removed.
    checks : sequence of mapping
        Of the audit; one that failed is told first.
    """
    told = spoken_of(methods, chosen)
    if told is None:
        return {"sentence": "No ensemble could be fitted; every method below failed.", "details": []}
    by_name = {method["name"]: method for method in methods}
    n = told["accuracy"]["n"]
    how = ", chosen beforehand," if told["name"] == chosen else ""
    sentence = (
        f"{told['label']}{how} gets {share(told['accuracy'])} of {n:,} questions right ({evaluated_on})"
    )
    rivals = [
        (name, row)
        for name in ("llm_vote", reference)
        if name and (row := find(comparisons, told["name"], name)) is not None
    ]
    sentence += "; " if rivals else "; no LLM took part."
    sentence += "; ".join(
        f"{by_name[name]['label']} gets {share(by_name[name]['accuracy'])}: {difference(row)}"
        for name, row in rivals
    )
    sentence += "." * bool(rivals)
    details = [
        f"The check of {check['name']} failed: {check['detail'] or check['found']}."
        for check in checks
        if check["status"] == "fail"
    ]
    details += [text for text in (_rung(by_name, comparisons, *pair) for pair in _RUNGS) if text]
    details += _on_removed(told, rivals, removed)
    details += [
        f"{m['label']} failed and is scored as chance: {m['error']}" for m in methods if m["status"] != "ok"
    ]
    return {"sentence": sentence, "details": details}


def spoken_of(methods: Sequence[Row], chosen: str | None) -> Row | None:
    """Return the ensemble that a run speaks of: the chosen one, else the first that could be fitted."""
    ensembles = [m for m in methods if m["kind"] in ("ladder", "stack") and m["status"] == "ok"]
    return next((m for m in ensembles if m["name"] == chosen), ensembles[0] if ensembles else None)


def share(estimate: Row) -> str:
    """Return an accuracy and its interval in words."""
    return f"{percent(estimate['value'])} % [{percent_interval(estimate)}]"


def difference(row: Row) -> str:
    """Return a comparison in words."""
    found = row["difference"]
    return (
        f"{points(found['value'])} points [{points_interval(found)}], "
        f"{row['gains']} won and {row['losses']} lost, {outcome(row)}"
    )


def outcome(row: Row) -> str:
    """Return what a comparison with its interval and ``p_holm`` came to: a clear gain or loss, or open."""
    found = row["difference"]
    if found["low"] <= 0 <= found["high"]:
        return "open"
    if row["p_holm"] >= 1 - found["level"]:
        return "open after Holm's correction"
    return "a clear gain" if found["low"] > 0 else "a clear loss"


def find(comparisons: Sequence[Row], a: str, b: str | None) -> Row | None:
    """Return the comparison of a with b."""
    return next((row for row in comparisons if (row["a"], row["b"]) == (a, b)), None)


_RUNGS = (
    ("forest_of_xgboost", "xgboost", "RF of XGBs = ??"),
    ("stacking", "xgboost", "stacking = ??"),
    ("stacking_with_llava", "stacking", "what LLaVA adds to the stack"),
)


def _rung(by_name: Mapping[str, Row], comparisons: Sequence[Row], a: str, b: str, asks: str) -> str | None:
    row = find(comparisons, a, b)
    if row is None:
        return None
    label, accuracy = by_name[a]["label"], share(by_name[a]["accuracy"])
    return f"{asks}: {label} {accuracy}, against {describe(b).label} {difference(row)}."


def _on_removed(told: Row, rivals: Sequence[tuple[str, Row]], removed: Row | None) -> list[str]:
    if removed is None:
        return []
    again = next((method for method in removed["methods"] if method["name"] == told["name"]), None)
    if again is None:
        return []
    parts = []
    for name, against in rivals:
        row = find(removed["comparisons"], told["name"], name)
        if row is not None:
            lives_only = against["difference"]["low"] > 0 >= row["difference"]["low"]
            note = " (the gain lives only in the official split, which shares families with training)"
            parts.append(f"against {describe(name).label} {difference(row)}{note * lives_only}")
    return [
        f"With the families of the test questions removed from training, {told['label']} gets "
        f"{share(again['accuracy'])}{': ' * bool(parts)}{'; '.join(parts)}."
    ]
