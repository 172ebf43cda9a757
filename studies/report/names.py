"""What the report calls methods, and which method is the LLM that the others are held against."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

KINDS = {
    "ladder": "ladder",
    "member": "member or mean of members",
    "stack": "stacking",
    "llm": "LLM",
    "ablation": "ablation",
    "baseline": "baseline",
}
"""Kinds with a colour of their own and what the key calls them; any other is drawn like a baseline."""


def labels(summary: Mapping[str, Any]) -> dict[str, str]:
    """Label of every method; a method without one is shown by its name."""
    return {method["name"]: method.get("label") or method["name"] for method in summary["methods"]}


def kind_of(method: Mapping[str, Any]) -> str:
    """Kind of a method as a style name."""
    kind = method.get("kind")
    return kind if kind in KINDS else "baseline"


def principal(summary: Mapping[str, Any], *, of: Collection[str], most: int = 6) -> list[str]:
    """Methods that small multiples show: the chosen one, the LLM, then stacks and ladder as they rank.

    Parameters
    ----------
    summary : Mapping
    of : collection of str
        Methods that can be shown.
    most : int
    """
    ranked = sorted(summary["methods"], key=lambda m: -(m.get("accuracy") or {"value": -1})["value"])
    wanted = [(summary.get("choice") or {}).get("method"), reference(summary)]
    for kind in ("stack", "llm", "ladder"):
        wanted += [method["name"] for method in ranked if method.get("kind") == kind]
    return [name for name in dict.fromkeys(wanted) if name is not None and name in of][:most]


def reference(summary: Mapping[str, Any]) -> str | None:
    """Name of the LLM that differences are counted against, or None where the study has none.

    The study may name it under ``reference``; otherwise it is the only LLM, or the LLM that most comparisons
    have as their second method.
    """
    named = summary.get("reference")
    if named:
        return str(named)
    llms = [method["name"] for method in summary["methods"] if method.get("kind") == "llm"]
    if len(llms) == 1:
        return str(llms[0])
    against = Counter(c["b"] for c in summary.get("comparisons") or () if c["b"] in llms)
    return str(against.most_common(1)[0][0]) if against else None
