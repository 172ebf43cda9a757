"""The report on who is right where another is wrong: a matrix of methods, all pairs, and each against all."""

from collections.abc import Mapping
from typing import Any

from studies.report.leaderboard import View
from studies.report.names import kind_of, labels, principal

MOST_METHODS = 12
"""Methods in the matrix; pairs of all stand in summary.json and in the tables."""


def complementarity(summary: Mapping[str, Any]) -> View | None:
    """Return the matrix (right answers of the row where the column is wrong), the pairs and the oracle."""
    told = summary.get("complementarity")
    if not told or not told.get("pairs"):
        return None
    name_of = labels(summary)
    by_name = {method["name"]: method for method in summary["methods"]}
    alone = {row["method"]: row for row in told["methods"]}
    shown = principal(summary, of=alone, most=MOST_METHODS)
    shown += [name for name in alone if name not in shown][: MOST_METHODS - len(shown)]
    wins = {(pair["a"], pair["b"]): pair["a_only"] for pair in told["pairs"]}
    wins |= {(pair["b"], pair["a"]): pair["b_only"] for pair in told["pairs"]}
    most = max((wins[key] for key in wins), default=0) or 1
    rows = [
        {
            "number": place + 1,
            "label": name_of.get(name, name),
            "kind": kind_of(by_name.get(name, {})),
            "alone_right": alone[name]["alone_right"],
            "alone_wrong": alone[name]["alone_wrong"],
            "cells": [
                None
                if other == name
                else {
                    "wins": wins[name, other],
                    "tint": round(28 * wins[name, other] / most, 1),
                    "against": name_of.get(other, other),
                }
                for other in shown
            ],
        }
        for place, name in enumerate(shown)
    ]
    pairs = [
        {
            **pair,
            "a_label": name_of.get(pair["a"], pair["a"]),
            "b_label": name_of.get(pair["b"], pair["b"]),
            "over_best": pair["either"] - _best(pair),
        }
        for pair in told["pairs"]
        if pair["a"] in shown and pair["b"] in shown
    ]
    pairs.sort(key=lambda pair: -pair["either"])
    return {
        "rows": rows,
        "columns": [{"number": row["number"], "label": row["label"]} for row in rows],
        "pairs": pairs,
        "n_methods": len(alone),
        "oracle": told.get("oracle"),
        "all_wrong": told.get("all_wrong"),
    }


def _best(pair: Mapping[str, Any]) -> float:
    """Accuracy of the better one of a pair."""
    n = pair["both_right"] + pair["a_only"] + pair["b_only"] + pair["both_wrong"]
    return float((pair["both_right"] + max(pair["a_only"], pair["b_only"])) / n)
