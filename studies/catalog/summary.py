"""From a run's predictions and facts to ``summary.json``: pure, and the only place that knows its layout."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from llava_core.data.example import Dataset, Example
from studies.catalog import diagnostics
from studies.catalog.gallery import gallery
from studies.catalog.methods import LADDER_NOTE, describe, pairs, reference
from studies.catalog.protocol import Protocol
from studies.catalog.scoring import Scorer
from studies.catalog.verdict import verdict

SCHEMA_VERSION = 1
COSTS = ("fit_s", "predict_s", "size_bytes", "n_features")
Facts = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """All that the steps of a run found, beside the predictions."""

    methods: Mapping[str, Facts]
    """Method to status, error and costs, in the order of the table."""
    tuning: Mapping[str, Facts] = field(default_factory=dict)
    curves: Sequence[Facts] = ()
    """``method``, ``x``, and ``points`` with ``m``, ``name`` (of the predictions) and ``fit_s``."""
    ablation: Sequence[Facts] = ()
    """``method``, ``without`` and ``name`` (of the predictions)."""
    without_members: Sequence[Facts] = ()
    """Stacks, in the same form."""
    shuffled: Sequence[Facts] = ()
    """``method``, ``block``, ``blocks`` and ``names`` (of ``shuffled_predictions``)."""
    shuffled_predictions: pd.DataFrame | None = None
    removed: Mapping[str, Facts] = field(default_factory=dict)
    """Method to facts in the second figure; its predictions carry ``removed_tag``."""
    removed_tag: str = ""
    removed_counts: Facts = field(default_factory=dict)
    choice: Facts | None = None
    checks: Sequence[Facts] = ()
    gaps: Sequence[Facts] = ()
    llava: Facts | None = None
    """``stages``, and ``scores`` as what to method name."""
    llm: Sequence[Facts] = ()
    llm_pair: Facts | None = None
    """Who was joined with whom, and how often they abstained and disagreed."""


def build_summary(
    *,
    study: str,
    title: str,
    dataset: Dataset,
    protocol: Protocol,
    scorer: Scorer,
    found: Found,
    provenance: Facts,
    run_path: Path,
) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    Parameters
    ----------
    study, title : str
    dataset : Dataset
    protocol : Protocol
    scorer : Scorer
        On the headline questions.
    found : Found
    provenance : mapping
    run_path : Path
        Image paths below it are written relative to it.
    """
    names = list(found.methods)
    methods = [_method(name, scorer, facts) for name, facts in found.methods.items()]
    comparisons = scorer.comparisons(pairs(names))
    against = reference(names)
    chosen = (found.choice or {}).get("method")
    removed = _removed(scorer, found)
    tested = scorer.on(protocol.test)
    return {
        "schema_version": SCHEMA_VERSION,
        "study": study,
        "title": title,
        "verdict": verdict(
            methods,
            comparisons,
            evaluated_on=protocol.evaluated_on,
            reference=against,
            chosen=chosen,
            removed=removed,
            checks=found.checks,
        ),
        "reference": against,
        "data": _data(dataset, protocol, found.gaps),
        "methods": methods,
        "ladder": [{"rung": rung, "note": note, "method": name} for rung, note, name in LADDER_NOTE],
        "comparisons": comparisons,
        "families_removed": removed,
        "slices": tested.slices(names),
        "curves": [
            {
                "method": curve["method"],
                "x": curve["x"],
                "points": [
                    {"m": p["m"], "accuracy": scorer.accuracy(p["name"]), "fit_s": p["fit_s"]}
                    for p in curve["points"]
                ],
            }
            for curve in found.curves
        ],
        "ablation": [_ablated(row, scorer) for row in found.ablation],
        "calibration": diagnostics.calibration(scorer, methods),
        "risk_coverage": diagnostics.risk_coverage(scorer, methods),
        "complementarity": diagnostics.complementarity(scorer, methods),
        "positions": diagnostics.positions(scorer, methods),
        "cost_fronts": diagnostics.cost_fronts(methods),
        "anatomy": _anatomy(found, scorer),
        "tuning": [_tuned(name, facts, scorer) for name, facts in found.tuning.items()],
        "choice": found.choice,
        "audit": {"checks": list(found.checks)},
        "llava": _llava(found.llava, tested.on([e for e in scorer.examples if e.has_image])),
        "llm": list(found.llm),
        "llm_pair": found.llm_pair,
        "examples": gallery(methods, scorer, against, chosen, run_path),
        "provenance": dict(provenance),
    }


def _method(name: str, scorer: Scorer, facts: Facts, *, tag: str = "") -> dict[str, Any]:
    described = describe(name)
    return {
        "name": name,
        "label": described.label,
        "kind": described.kind,
        "status": facts.get("status", "ok"),
        "error": facts.get("error"),
        **scorer.figures(name + tag),
        **{cost: facts.get(cost) for cost in COSTS},
        "weights": facts.get("weights"),
    }


def _removed(scorer: Scorer, found: Found) -> dict[str, Any] | None:
    if not found.removed:
        return None
    tag, names = found.removed_tag, list(found.removed)
    untouched = [name for name in found.methods if name not in found.removed]
    tagged = {name: name + tag for name in names} | {name: name for name in untouched}
    compared = [
        pair for pair in pairs(list(found.methods)) if pair[0] in found.removed or pair[1] in found.removed
    ]
    rows = scorer.comparisons([(tagged[a], tagged[b]) for a, b in compared])
    return {
        **found.removed_counts,
        "methods": [_method(name, scorer, facts, tag=tag) for name, facts in found.removed.items()],
        "comparisons": [{**row, "a": a, "b": b} for row, (a, b) in zip(rows, compared, strict=True)],
    }


def _data(dataset: Dataset, protocol: Protocol, gaps: Sequence[Facts]) -> dict[str, Any]:
    parts = {
        "train_llm": protocol.train_llm,
        "train": protocol.train,
        "val": protocol.val,
        "test": protocol.test,
    }
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "splits": {
            name: {
                "n_questions": len(examples),
                "n_rows": sum(len(example.options) for example in examples),
                "n_families": len({example.group for example in examples}),
                "n_with_image": sum(example.has_image for example in examples),
            }
            for name, examples in parts.items()
            if examples
        },
        "gaps": [*(asdict(gap) for gap in dataset.gaps), *gaps],
        "evaluated_on": protocol.evaluated_on,
        "protocol": protocol.told,
        "n_questions": len(protocol.headline),
        "n_families": len({example.group for example in protocol.headline}),
    }


def _ablated(row: Facts, scorer: Scorer) -> dict[str, Any]:
    compared = scorer.comparisons([(row["name"], row["method"])])[0]
    return {
        "method": row["method"],
        "without": row["without"],
        "accuracy": scorer.accuracy(row["name"]),
        "difference": compared["difference"],
    }


def _anatomy(found: Found, scorer: Scorer) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    if found.shuffled_predictions is not None:
        shuffled = replace(scorer, predictions=found.shuffled_predictions)
        rows = diagnostics.importance(scorer, shuffled, found.shuffled)
    return {"without_members": [_ablated(row, scorer) for row in found.without_members], "importance": rows}


def _tuned(name: str, facts: Facts, scorer: Scorer) -> dict[str, Any]:
    outer = scorer.figures(name)
    return {
        "method": name,
        **{key: value for key, value in facts.items() if key != "params"},
        "params": facts["params"],
        "outer_log_loss": outer["log_loss"]["value"] if outer["log_loss"] else None,
        "outer_accuracy": outer["accuracy"]["value"],
    }


def _llava(facts: Facts | None, shown: Scorer) -> dict[str, Any] | None:
    if facts is None or not shown.examples:
        return None
    by_skill: dict[str, list[Example]] = {}
    for example in shown.examples:
        if example.skill:
            by_skill.setdefault(example.skill, []).append(example)
    return {
        "stages": facts["stages"],
        "temperature": facts.get("temperature"),
        "evaluated_on": "image questions of the headline",
        "scores": [
            {"what": what, "accuracy": shown.accuracy(method)} for what, method in facts["scores"].items()
        ],
        "skills": [
            {
                "skill": skill,
                "chance": sum(1 / len(example.options) for example in examples) / len(examples),
                "accuracy": shown.on(examples).accuracy("llava"),
                "n": len(examples),
            }
            for skill, examples in sorted(by_skill.items())
        ],
    }
