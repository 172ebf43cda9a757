"""What the methods of `ensemble_vs_llm` are called, and which are held against which."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["ladder", "member", "stack", "llm", "baseline", "ablation", "bound"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """Name, label and kind of a method."""

    label: str
    kind: Kind


METHODS: Mapping[str, Method] = {
    "decision_tree": Method(label="Decision tree", kind="ladder"),
    "random_forest": Method(label="Random forest", kind="ladder"),
    "xgboost": Method(label="XGBoost", kind="ladder"),
    "lightgbm": Method(label="LightGBM", kind="ladder"),
    "forest_of_xgboost": Method(label="Forest of XGBoosts", kind="ladder"),
    "neighbours": Method(label="k nearest neighbours", kind="member"),
    "linear": Method(label="Logistic regression", kind="member"),
    "xgboost_with_llava": Method(label="XGBoost with LLaVA", kind="member"),
    "lightgbm_with_llava": Method(label="LightGBM with LLaVA", kind="member"),
    "greedy_selection": Method(label="Greedy selection", kind="member"),
    "stacking": Method(label="Stacking", kind="stack"),
    "stacking_with_llava": Method(label="Stacking with LLaVA", kind="stack"),
    "stacking_with_llm": Method(label="Stacking with LLM answers", kind="stack"),
    "llava": Method(label="LLaVA (option likelihood)", kind="llm"),
    "llava_generated": Method(label="LLaVA (generated answer)", kind="llm"),
    "llm_best": Method(label="Best single LLM", kind="llm"),
    "llm_complement": Method(label="Complement: an LLM, else LLaVA", kind="llm"),
    "llm_judge": Method(label="Judge between an LLM and LLaVA", kind="llm"),
    "llm_either": Method(label="Upper bound: either of the two right", kind="bound"),
    "llm_vote": Method(label="Vote of the LLMs", kind="baseline"),
    "question_only": Method(label="XGBoost without the image", kind="baseline"),
    "majority_position": Method(label="Majority position", kind="baseline"),
    "chance": Method(label="Chance", kind="baseline"),
}
"""Methods by name; ``llm:STEM`` stands for a file of published answers."""

LADDER_NOTE = (
    ("DT", "90", "decision_tree"),
    ("RF: M trees in parallel", "95", "random_forest"),
    ("XGB: M trees in sequence", "97", "xgboost"),
    ("RF of M XGBs in parallel", "??", "forest_of_xgboost"),
    ("stacking RF + XGB + kNN + ...", "??", "stacking"),
)
"""Rungs of the note the study starts from: rung, the note's figure, method that measures it."""

_AGAINST = (
    ("random_forest", "decision_tree"),
    ("xgboost", "random_forest"),
    ("forest_of_xgboost", "xgboost"),
    ("stacking", "xgboost"),
    ("stacking", "forest_of_xgboost"),
    ("stacking_with_llava", "stacking"),
    ("stacking_with_llm", "llm_vote"),
    ("stacking_with_llm", "llm_complement"),
    ("stacking_with_llm", "llm_judge"),
    ("llm_judge", "llm_complement"),
    ("xgboost", "question_only"),
    ("xgboost", "majority_position"),
    ("llava", "question_only"),
)


def describe(name: str) -> Method:
    """Return label and kind of a method."""
    if name.startswith("llm:"):
        return Method(label=name.removeprefix("llm:").replace("_", " "), kind="llm")
    return METHODS[name]


def reference(names: Collection[str]) -> str | None:
    """Return the LLM that the ensembles are held against, or None where the run has none."""
    return next((name for name in ("llm_best", "llava") if name in names), None)


def pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Return the planned comparisons among the methods of a run, which Holm's correction counts."""
    against = reference(names)
    wanted = [(name, against) for name in names if against and describe(name).kind in ("ladder", "stack")]
    joined = ("llm_vote", "llm_complement", "llm_judge")
    wanted += [(name, against) for name in joined] if against == "llm_best" else []
    wanted += [pair for pair in _AGAINST if pair not in wanted]
    return [(a, b) for a, b in wanted if b is not None and a in names and b in names]
