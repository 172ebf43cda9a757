"""What the figures of a run say, in words: one sentence, then what supports or limits it.

Words follow intervals: a difference whose interval includes zero is called open, whatever its sign.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from studies.catalog.methods import describe

Row = Mapping[str, Any]


def verdict(
    methods: Sequence[Row],
    comparisons: Sequence[Row],
    *,
    evaluated_on: str,
    reference: str | None,
    removed: Row | None = None,
) -> dict[str, Any]:
    """Return ``sentence`` and ``details``.

    Parameters
    ----------
    methods, comparisons : sequence of mapping
        As in ``summary.json``.
    evaluated_on : str
    reference : str or None
        LLM that the ensembles are held against.
    removed : mapping, optional
        The second figure, with the held-out families removed.
    """
    ensembles = [m for m in methods if m["kind"] in ("ladder", "stack") and m["status"] == "ok"]
    if not ensembles:
        return {"sentence": "No ensemble could be fitted; every method below failed.", "details": []}
    best = max(ensembles, key=lambda method: method["accuracy"]["value"])
    by_name = {method["name"]: method for method in methods}
    n = best["accuracy"]["n"]
    sentence = f"{best['label']} gets {share(best['accuracy'])} of {n:,} questions right ({evaluated_on})"
    against = find(comparisons, best["name"], reference) if reference else None
    if against is not None and reference is not None:
        rival = by_name[reference]
        sentence += f"; {rival['label']} gets {share(rival['accuracy'])}: {difference(against)}."
    else:
        sentence += "; no LLM took part."
    details = [text for text in (_rung(by_name, comparisons, *pair) for pair in _RUNGS) if text]
    details += _on_removed(best, reference, against, removed)
    details += [
        f"{m['label']} failed and is scored as chance: {m['error']}" for m in methods if m["status"] != "ok"
    ]
    return {"sentence": sentence, "details": details}


def share(estimate: Row) -> str:
    """Return an accuracy in words, e.g. ``71.2 % [68.0, 74.1]``."""
    return f"{100 * estimate['value']:.1f} % [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def difference(row: Row) -> str:
    """Return a comparison in words."""
    found = row["difference"]
    word = "a clear gain" if found["low"] > 0 else "a clear loss" if found["high"] < 0 else "open"
    return (
        f"{100 * found['value']:+.1f} points [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}], "
        f"{row['gains']} won and {row['losses']} lost, {word}"
    )


def find(comparisons: Sequence[Row], a: str, b: str | None) -> Row | None:
    """Return the comparison of a with b."""
    return next((row for row in comparisons if (row["a"], row["b"]) == (a, b)), None)


_RUNGS = (
    ("forest_of_xgboost", "xgboost", "RF of XGBs = ??"),
    ("stacking", "xgboost", "stacking = ??"),
    ("stacking_with_llava", "stacking", "what LLaVA adds to the stack"),
    ("stacking_with_llm", "llm_vote", "what stacking adds to a plain vote"),
)


def _rung(by_name: Mapping[str, Row], comparisons: Sequence[Row], a: str, b: str, asks: str) -> str | None:
    row = find(comparisons, a, b)
    if row is None:
        return None
    label, accuracy = by_name[a]["label"], share(by_name[a]["accuracy"])
    return f"{asks}: {label} {accuracy}, against {describe(b).label} {difference(row)}."


def _on_removed(best: Row, reference: str | None, against: Row | None, removed: Row | None) -> list[str]:
    if removed is None:
        return []
    again = next((method for method in removed["methods"] if method["name"] == best["name"]), None)
    if again is None:
        return []
    told = (
        f"With the families of the test questions removed from training, {best['label']} gets "
        f"{share(again['accuracy'])}"
    )
    row = find(removed["comparisons"], best["name"], reference) if reference else None
    if row is None or against is None:
        return [told + "."]
    lives_only = against["difference"]["low"] > 0 >= row["difference"]["low"]
    note = (
        "; the gain lives only in the official split, which shares families with training"
        if lives_only
        else ""
    )
    return [f"{told}: {difference(row)}{note}."]
