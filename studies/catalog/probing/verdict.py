"""The verdict of `embedding_probe`: where a target is read best by a straight line, what the LLM does to it.

Which stage is best is read off the same questions that its score rests on, among several, so its score is a
little too good, which the verdict says; the difference of two stages named in advance is not.
"""

from collections.abc import Mapping, Sequence
from typing import Any

JUDGE = "linear"
LEAST_MEMORY = 0.5
"""Share of items with a family that is learned from, below which selectivity says little of memory."""
Facts = Mapping[str, Any]


def verdict(
    data: Facts,
    stages: Sequence[Facts],
    targets: Sequence[Facts],
    cells: Sequence[Facts],
    comparisons: Sequence[Facts],
    *,
    level: float,
) -> dict[str, Any]:
    """Return one sentence about the first target, and further ones.

    Parameters
    ----------
    data, stages, targets, cells, comparisons
        As in ``summary.json``.
    level : float
        Of the intervals; 1 minus it is the bound on corrected p-values.
    """
    first, *others = targets
    told = [_of_target(target, stages, cells, comparisons, level) for target in (first, *others)]
    basis = f"{first['n_test']:,} {data['unit']} of {first['n_families_test']:,} families"
    details = [f"{sentence}." for sentence in told[1:]]
    details += [
        f"{target['label']}: {target['n_test_unseen']:,} of the {data['unit']} scored are of classes that no "
        "one learned from has; no probe can get them right."
        for target in targets
        if target["n_test_unseen"]
    ]
    details += _memory(cells, targets)
    details += [
        f"{target['label']}: {100 * target['memory_frac']:.0f} % of the {data['unit']} that selectivity is "
        "scored on have a family among those learned from: it says little of memory."
        for target in targets
        if data["has_families"] and target["memory_frac"] < LEAST_MEMORY
    ]
    details += [
        f"{n_failed} of {len(cells)} cells failed and are scored as chance."
        for n_failed in [sum(cell["status"] != "ok" for cell in cells)]
        if n_failed
    ]
    if len({cell["stage"] for cell in cells if cell["status"] == "ok"}) > 1:
        details.append(
            f"The best stage is picked on the {data['unit']} that its score rests on, which flatters it a "
            "little; others may be as good."
        )
    if data["split"] == "random":
        details.append(
            "Families straddle this split: a probe may have learned the very items that it is scored on."
        )
    elif not data["has_families"]:
        details.append(
            "No family was named: rows with equal vectors are kept together, near copies are not. Memory of "
            "those shows neither in the score nor in the selectivity, and the intervals take all others as "
            "independent."
        )
    return {"sentence": f"{told[0]} ({basis}).", "details": details}


def _of_target(
    target: Facts,
    stages: Sequence[Facts],
    cells: Sequence[Facts],
    comparisons: Sequence[Facts],
    level: float,
) -> str:
    """Return where a target is read best, and how the last stage that is held against another differs."""
    label = {stage["name"]: stage["label"] for stage in stages}
    here = [cell for cell in cells if cell["target"] == target["name"] and cell["status"] == "ok"]
    judge = JUDGE if any(cell["probe"] == JUDGE for cell in here) else here[0]["probe"] if here else ""
    judged = [cell for cell in here if cell["probe"] == judge]
    if not judged:
        return f"{target['label']}: no probe came to its end"
    best = max(judged, key=lambda cell: float(cell["score"]["value"]))
    among = f"most, of {len(judged)} stages, " if len(judged) > 1 else ""
    sentence = (
        f"{target['label']}: the {judge} probe reads {among}at {_quoted(label[best['stage']])}, "
        f"{_percent(best['score'])}, chance {100 * target['chance']:.1f} %"
    )
    held = [row for row in comparisons if row["target"] == target["name"] and row["probe"] == judge]
    if not held:
        return sentence
    last = held[-1]
    if any(row["a"].startswith("llm_hidden") for row in held):
        last = [row for row in held if row["a"].startswith("llm_hidden")][-1]
    return f"{sentence}; {_change(last, label, level)}"


def _memory(cells: Sequence[Facts], targets: Sequence[Facts]) -> list[str]:
    """Return which families of probes read nothing that they could not read off random labels of families."""
    told = []
    for target in targets:
        here = [cell for cell in cells if cell["target"] == target["name"] and cell["status"] == "ok"]
        blind: dict[str, int] = {}
        for cell in here:
            if cell["selectivity"]["difference"]["low"] <= 0:
                blind[cell["probe"]] = blind.get(cell["probe"], 0) + 1
        if blind:
            n_stages = len({cell["stage"] for cell in here})
            names = ", ".join(f"{probe} at {n} of {n_stages}" for probe, n in blind.items())
            told.append(f"{target['label']}: no selectivity above zero for {names} stages.")
    return told


def _change(row: Facts, label: Mapping[str, str], level: float) -> str:
    found = row["difference"]
    is_clear = row["p_holm"] < 1 - level and (found["low"] > 0 or found["high"] < 0)
    return (
        f"{_quoted(label[row['a']])} against {_quoted(label[row['b']])} {100 * found['value']:+.1f} points "
        f"[{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
        + ("" if is_clear else ", not told apart from none")
    )


def _quoted(label: str) -> str:
    return f"'{label}'"


def _percent(estimate: Facts) -> str:
    return f"{100 * estimate['value']:.1f} % [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"
