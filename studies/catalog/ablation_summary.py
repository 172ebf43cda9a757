"""What `stage_ablation` found, as plain values: accuracies, paired differences, probes, seeds, verdict.

An interval of a mean over questions and seeds draws families. Where there are two seeds or more, what other
seeds would bring is told beside it, and the verdict's intervals hold both.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from llava_core.data.example import Dataset, Example
from studies import stats
from studies.catalog.ablation_probes import PROBES, selectivity_questions
from studies.catalog.protocol import Protocol
from studies.spec.ablation import REFERENCE, VARIANTS, AblationSpec

if TYPE_CHECKING:
    from studies.catalog.stage_ablation import Found

SCHEMA_VERSION = 1
PAPER = {
    "no_stage_1": -0.0511,
    "last_layer": -0.0096,
}
"""Change of ScienceQA accuracy in Liu et al. (2023), Visual Instruction Tuning, table 8 (LLaVA-13B)."""


def build_summary(
    spec: AblationSpec,
    dataset: Dataset,
    protocol: Protocol,
    found: "Mapping[str, Found]",
    *,
    checks: Sequence[Mapping[str, Any]],
    chance: Mapping[str, float],
    provenance: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the content of ``summary.json``.

    Parameters
    ----------
    spec : AblationSpec
    dataset : Dataset
    protocol : Protocol
    found : mapping
        Variant to what it came to; the reference is among them.
    checks : sequence of mapping
        Of the leakage audit.
    chance : mapping
        Probe to what it would reach without seeing anything.
    provenance : mapping
    """
    headline = protocol.headline
    shown = [index for index, example in enumerate(headline) if example.has_image]
    families = [example.group for example in headline]
    image_families = [families[index] for index in shown]
    learned = [example for example in protocol.train if example.has_image]
    selected = [example.group for example in selectivity_questions(learned, seed=spec.seed)]
    draws: dict[str, Any] = {"level": spec.level, "n_boot": spec.n_boot, "seed": spec.seed}
    base = found[REFERENCE]

    def mean(values: NDArray[np.float64], of: Sequence[str], estimate: Callable[..., Any]) -> dict[str, Any]:
        return asdict(estimate(values.mean(1), of, **draws))

    def against(credit: NDArray[np.float64], other: NDArray[np.float64], of: Sequence[str]) -> dict[str, Any]:
        return asdict(stats.compare(credit.mean(1), other.mean(1), of, **draws))

    rows, comparisons, probes = [], [], []
    for name, result in found.items():
        told = result.training[0]
        difference = result.credit - base.credit
        rows.append(
            {
                "name": name,
                "label": VARIANTS[name].label,
                "variant": asdict(VARIANTS[name]),
                "accuracy": mean(result.credit, families, stats.accuracy_estimate),
                "accuracy_image": mean(result.credit[shown], image_families, stats.accuracy_estimate),
                "difference": None if name == REFERENCE else mean(difference, families, stats.mean_estimate),
                "difference_image": None
                if name == REFERENCE
                else mean(difference[shown], image_families, stats.mean_estimate),
                "paper": PAPER.get(name),
                "by_seed": [
                    {
                        "seed": seed,
                        "accuracy": float(result.credit[:, index].mean()),
                        "difference": float(difference[:, index].mean()),
                    }
                    for index, seed in enumerate(spec.seeds)
                ],
                "variation": _variation(result.credit if name == REFERENCE else difference, families, spec),
                "n_connection": told["n_connection"],
                "n_image_tokens": told["n_image_tokens"],
                "training": list(result.training),
                "seconds": sum(stage["seconds"] for each in result.training for stage in each["stages"]),
            }
        )
        probes.append(
            {
                "name": name,
                "label": VARIANTS[name].label,
                "cells": {
                    probe: {
                        "score": mean(read["credit"], image_families, stats.accuracy_estimate),
                        "difference": None
                        if name == REFERENCE
                        else mean(
                            read["credit"] - base.probes[probe]["credit"], image_families, stats.mean_estimate
                        ),
                        "floor": mean(read["floor"], image_families, stats.accuracy_estimate),
                        "selectivity": mean(read["real"] - read["control"], selected, stats.mean_estimate),
                    }
                    for probe, read in result.probes.items()
                },
            }
        )
        if name != REFERENCE:
            both = against(result.credit, base.credit, families)
            comparisons.append({"a": name, "b": REFERENCE, "on": "all", **both})
    for row, p in zip(comparisons, stats.holm([row["mcnemar_p"] for row in comparisons]), strict=True):
        row["p_holm"] = p
    return {
        "schema_version": SCHEMA_VERSION,
        "study": spec.study,
        "title": "What each stage of LLaVA is worth, and other ways to connect the same parts",
        "verdict": _verdict(rows, comparisons, headline, len(shown), spec),
        "reference": REFERENCE,
        "methods": [
            {
                "name": row["name"],
                "label": row["label"],
                "kind": "llm" if row["name"] == REFERENCE else "ablation",
                "status": "ok",
                "accuracy": row["accuracy"],
            }
            for row in rows
        ],
        "variants": rows,
        "comparisons": comparisons,
        "probes": {"labels": dict(PROBES), "chance": dict(chance), "rows": probes, "n": len(shown)},
        "seeds": list(spec.seeds),
        "budget_frac": spec.budget_frac,
        "audit": {"checks": list(checks)},
        "data": {
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "evaluated_on": protocol.evaluated_on,
            "n_questions": len(headline),
            "n_image_questions": len(shown),
            "n_families": len(set(families)),
            "n_train_llm": len(protocol.train_llm),
        },
        "provenance": dict(provenance),
    }


def _variation(
    values: NDArray[np.float64], families: Sequence[str], spec: AblationSpec
) -> dict[str, float] | None:
    """Return standard deviations of the mean, and its interval for other seeds and questions; None of one."""
    if len(spec.seeds) < 2:
        return None
    parts = stats.variance_components(values)
    drawn = stats.mean_estimate(values.mean(1), families, level=0.6827, n_boot=spec.n_boot, seed=spec.seed)
    by_question = (drawn.high - drawn.low) / 2
    half = stats.half_width(
        by_seed=parts.seed / parts.n_seeds,
        by_question=by_question**2,
        n_seeds=parts.n_seeds,
        level=spec.level,
    )
    mean = float(values.mean())
    return {
        "seed_sd": float(np.sqrt(parts.seed)),
        "of_mean_by_seed": float(np.sqrt(parts.of_mean_by_seed)),
        "of_mean_by_question": by_question,
        "of_mean": float(np.hypot(np.sqrt(parts.seed / parts.n_seeds), by_question)),
        "low": mean - half,
        "high": mean + half,
    }


def _verdict(
    rows: Sequence[Mapping[str, Any]],
    comparisons: Sequence[Mapping[str, Any]],
    headline: Sequence[Example],
    n_shown: int,
    spec: AblationSpec,
) -> dict[str, Any]:
    by_name = {row["name"]: row for row in rows}
    clear = {
        row["a"]
        for row in comparisons
        if row["p_holm"] < 1 - spec.level
        and _excludes_zero(row["difference"])
        and _excludes_zero(by_name[row["a"]]["variation"] or row["difference"])
    }
    seeds = f"{len(spec.seeds)} seed{'s' if len(spec.seeds) > 1 else ''}"
    reference = by_name[REFERENCE]
    parts = [
        _change(by_name[name], name in clear) for name in ("no_stage_1", "last_layer") if name in by_name
    ]
    first = f"{'; '.join(parts)}" if parts else f"{reference['label']}: {_percent(reference['accuracy'])}"
    details = [
        f"Reference ({reference['label']}): {_percent(reference['accuracy'])} of all, "
        f"{_percent(reference['accuracy_image'])} of image questions."
    ]
    others = [row for row in rows if row["name"] not in (REFERENCE, "no_stage_1", "last_layer")]
    details += [_change(row, row["name"] in clear) + "." for row in others]
    if len(spec.seeds) == 1:
        details.append("One seed: the intervals hold question variation only; another seed moves all of it.")
    else:
        moved = sorted(row["variation"]["of_mean_by_seed"] for row in rows if row["name"] != REFERENCE)
        details.append(
            f"{seeds}: intervals of changes hold for other seeds and questions, those of accuracies for "
            "questions only."
        )
        if moved:
            details.append(
                f"Other seeds would move these mean changes by {100 * moved[0]:.1f} to {100 * moved[-1]:.1f} "
                "points (standard deviation)."
            )
    return {
        "sentence": f"{first} ({len(headline):,} questions, {n_shown:,} with an image, {seeds}).",
        "details": details,
    }


def _change(row: Mapping[str, Any], is_clear: bool) -> str:
    found = row["variation"] or row["difference"]
    told = f"{row['label'][:1].upper()}{row['label'][1:]}: {100 * row['difference']['value']:+.1f} points"
    told += f" [{100 * found['low']:+.1f}, {100 * found['high']:+.1f}]"
    paper = "" if row["paper"] is None else f", the paper {100 * row['paper']:+.2f}"
    return told + ("" if is_clear else ", not told apart from none") + paper


def _percent(estimate: Mapping[str, float]) -> str:
    return f"{100 * estimate['value']:.1f} % [{100 * estimate['low']:.1f}, {100 * estimate['high']:.1f}]"


def _excludes_zero(interval: Mapping[str, float]) -> bool:
    return bool(interval["low"] > 0 or interval["high"] < 0)
