"""What `embedding_probe` found, as plain values: the content of ``summary.json``.

Intervals draw families, as everywhere; those of the selectivity draw the families of the items that a random
split of the training items scores. p-values are Holm-corrected over all comparisons of the table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies import stats
from studies.catalog.audit import Check, as_plain
from studies.catalog.probing.cells import Cell, chance_credit, selectivity_split
from studies.catalog.probing.erasing import Erased
from studies.catalog.probing.ground import Ground
from studies.catalog.probing.material import Material
from studies.catalog.probing.probed import RANDOM, Probed
from studies.catalog.probing.stages import PATCHES, PROJECTED, StageInfo
from studies.catalog.probing.verdict import verdict
from studies.probing import PROBES, ChoiceTask, Task, prior_log_prob, usable_bits
from studies.spec.probing import ProbingSpec

SCHEMA_VERSION = 1
Facts = dict[str, Any]
Credit = NDArray[np.float64]


def build_summary(
    spec: ProbingSpec,
    material: Material,
    ground: Ground,
    probed: Sequence[Probed],
    *,
    title: str,
    erased: Sequence[Erased],
    answers_erased: Sequence[Facts],
    hard: Mapping[str, Facts],
    similarity: Facts | None,
    dimension: Sequence[Facts],
    modality_gap: Facts | None,
    checks: Sequence[Check],
    provenance: Facts,
) -> Facts:
    """Return the content of ``summary.json``.

    Parameters
    ----------
    spec : ProbingSpec
    material : Material
    ground : Ground
        Of the targets that are about items with a vector at every stage, or the only one.
    probed : sequence of Probed
        By target.
    title : str
    erased, answers_erased, hard, similarity, dimension, modality_gap, checks, provenance
        What the other steps found.
    """
    draws = draws_of(spec)
    cells = [
        _cell(each, info, probe, draws)
        for each in probed
        for info in each.ground.stages
        for probe in spec.probes
    ]
    comparisons = _comparisons(spec, probed, draws)
    stages = [_stage(info) for info in material.stages]
    targets = [_target(each, seed=spec.seed) for each in probed]
    data = _data(spec, material, ground)
    return {
        "schema_version": SCHEMA_VERSION,
        "study": spec.study,
        "title": title,
        "verdict": verdict(data, stages, targets, cells, comparisons, level=spec.level),
        "data": data,
        "stages": stages,
        "probes": [{"name": name, "label": PROBES[name].label.capitalize()} for name in spec.probes],
        "targets": targets,
        "cells": cells,
        "comparisons": comparisons,
        "hard": dict(hard),
        "erasure": [_erasure(each, draws) for each in erased],
        "answers_erased": list(answers_erased),
        "similarity": similarity,
        "dimension": list(dimension),
        "modality_gap": modality_gap,
        "audit": {"checks": as_plain(checks)},
        "provenance": provenance,
    }


def draws_of(spec: ProbingSpec) -> dict[str, Any]:
    """Return level, resamples and seed of a run's intervals."""
    return {"level": spec.level, "n_boot": spec.n_boot, "seed": spec.seed}


def accuracy(credit: Credit, families: NDArray[np.int64], draws: Mapping[str, Any]) -> Facts:
    """Return the mean credit with its interval."""
    return asdict(stats.accuracy_estimate(credit, families, **draws))


def mean(values: Credit, families: NDArray[np.int64], draws: Mapping[str, Any]) -> Facts:
    """Return a mean with its interval."""
    return asdict(stats.mean_estimate(values, families, **draws))


def _data(spec: ProbingSpec, material: Material, ground: Ground) -> Facts:
    division, families = ground.division, ground.families
    return {
        "name": material.name,
        "fingerprint": material.fingerprint,
        "unit": material.unit,
        "split": spec.split,
        "split_told": division.told,
        "n_train": len(division.train),
        "n_test": len(division.test),
        "n_families_train": len(np.unique(families[division.train])),
        "n_families_test": len(np.unique(families[division.test])),
        "n_families_removed": division.n_families_removed,
        "n_dropped": sum(n for _, n in ground.dropped) + division.n_items_removed,
        "dropped": [
            *({"why": why, "n": n} for why, n in ground.dropped),
            *(
                [{"why": "of a family that the test part has too", "n": division.n_items_removed}]
                if division.n_items_removed
                else []
            ),
        ],
        "has_families": material.has_families,
    }


def _stage(info: StageInfo) -> Facts:
    stage = info.stage
    return {
        "name": info.name,
        "label": info.label,
        "block": info.block,
        "level": stage.level,
        "dim": stage.dim,
        "n_vectors": len(stage.vectors),
        "compared_with": info.compared_with,
    }


def _target(probed: Probed, *, seed: int) -> Facts:
    task, train, test = probed.task, probed.ground.train, probed.ground.test
    is_choice = isinstance(task, ChoiceTask)
    return {
        "name": probed.target.name,
        "label": probed.target.label,
        "kind": task.kind,
        "n_classes": None if is_choice else len(np.unique(task.labels)),  # type: ignore[union-attr]
        "n_options": float(np.bincount(task.question)[test].mean()) if is_choice else None,  # type: ignore[union-attr]
        "n_train": len(train),
        "n_test": len(test),
        "n_test_unseen": n_unseen(task, train, test),
        "n_families_test": len(np.unique(probed.ground.families[test])),
        "memory_frac": memory_frac(probed.ground.families, train, seed=seed),
        "chance": float(chance_credit(task, train, test).mean()),
        "entropy_bits": float(-prior_log_prob(task, train, train).mean() / np.log(2)),
    }


def n_unseen(task: Task, train: NDArray[np.intp], test: NDArray[np.intp]) -> int | None:
    """Return the number of test items of a class that no training item has; None of a task of options.

    Examples
    --------
    >>> from studies.probing import ClassTask
    >>> n_unseen(ClassTask(labels=np.array(["a", "b", "c", "a"])), np.array([0, 1]), np.array([2, 3]))
    1
    """
    if isinstance(task, ChoiceTask):
        return None
    return int((~np.isin(task.labels[test], task.labels[train])).sum())


def memory_frac(families: NDArray[np.int64], train: NDArray[np.intp], *, seed: int) -> float:
    """Return the share of the items that selectivity is scored on whose family is learned from there.

    Only of these can a random label of the family be remembered.
    """
    inside, outside = selectivity_split(train, seed=seed)
    return float(np.isin(families[outside], families[inside]).mean())


def _cell(probed: Probed, info: StageInfo, probe: str, draws: Mapping[str, Any]) -> Facts:
    cell, ground = probed.cell(info.name, probe), probed.ground
    of_test = ground.families[ground.test]
    arrays, facts = cell.arrays, cell.facts
    found: Facts = {
        "target": probed.target.name,
        "stage": info.name,
        "probe": probe,
        "status": facts["status"],
        "error": facts["error"],
        "score": accuracy(arrays["credit"], of_test, draws),
    }
    if not cell.is_ok:
        empty = (
            "floor", "selectivity", "bits", "usable_bits", "matched_rank", "random_projector", "chosen",
            "fit_s", "predict_s", "size_bytes",
        )  # fmt: skip
        return {**found, **dict.fromkeys(empty), "curve": []}
    outside = selectivity_split(ground.train, seed=draws["seed"])[1]
    of_outside = ground.families[outside]
    bits = usable_bits(arrays["log_prob"], probed.task, train=ground.train, test=ground.test)
    return {
        **found,
        "floor": accuracy(arrays["floor"], of_test, draws),
        "selectivity": {
            "real": accuracy(arrays["real"], of_outside, draws),
            "control": accuracy(arrays["control"], of_outside, draws),
            "difference": mean(arrays["real"] - arrays["control"], of_outside, draws),
        },
        "bits": facts["bits"],
        "usable_bits": mean(bits, of_test, draws),
        "matched_rank": {"rank": facts["rank"], "score": accuracy(arrays["rank"], of_test, draws)},
        "random_projector": _against_random(probed, info, probe, cell, draws),
        "curve": _curve(cell, len(ground.train), of_test, draws),
        **{name: facts[name] for name in ("chosen", "fit_s", "predict_s", "size_bytes")},
    }


def _against_random(
    probed: Probed, info: StageInfo, probe: str, cell: Cell, draws: Mapping[str, Any]
) -> Facts | None:
    """Return a projector's stage against a random map of the same vectors; None of other stages."""
    if info.name not in PROJECTED or RANDOM not in probed.cells:
        return None
    random = probed.cell(RANDOM, probe)
    of_test = probed.ground.families[probed.ground.test]
    credit = random.arrays["credit"]
    return {
        "of": PATCHES,
        "score": accuracy(credit, of_test, draws),
        "difference": mean(cell.arrays["credit"] - credit, of_test, draws),
    }


def _curve(cell: Cell, n_train: int, families: NDArray[np.int64], draws: Mapping[str, Any]) -> list[Facts]:
    points = {
        int(name.removeprefix("curve_")): credit
        for name, credit in cell.arrays.items()
        if name.startswith("curve_")
    }
    points[n_train] = cell.arrays["credit"]
    return [{"n_train": n, "score": accuracy(points[n], families, draws)} for n in sorted(points)]


def _comparisons(spec: ProbingSpec, probed: Sequence[Probed], draws: Mapping[str, Any]) -> list[Facts]:
    """Return each stage against the one that it is held against, on the same items, with the same probe."""
    rows: list[Facts] = []
    for each in probed:
        families = each.ground.families[each.ground.test]
        for info in each.ground.stages:
            if info.compared_with is None:
                continue
            for probe in spec.probes:
                a, b = each.cell(info.name, probe), each.cell(info.compared_with, probe)
                if a.is_ok and b.is_ok:
                    found = stats.compare(a.arrays["credit"], b.arrays["credit"], families, **draws)
                    rows.append(
                        {
                            "target": each.target.name,
                            "probe": probe,
                            "a": info.name,
                            "b": info.compared_with,
                            "difference": asdict(found.difference),
                            "gains": found.gains,
                            "losses": found.losses,
                            "p": found.mcnemar_p,
                        }
                    )
    corrected = stats.holm([row["p"] for row in rows])
    return [{**row, "p_holm": p} for row, p in zip(rows, corrected, strict=True)]


def _erasure(erased: Erased, draws: Mapping[str, Any]) -> Facts:
    ground = erased.concept.ground
    families = ground.families[ground.test]
    return {
        "stage": erased.stage,
        "concept": erased.concept.target.name,
        "n_classes": len(np.unique(erased.concept.task.labels)),  # type: ignore[union-attr]
        "rank": erased.rank,
        "before": {probe: accuracy(credit, families, draws) for probe, credit in erased.before.items()},
        "after": {probe: accuracy(credit, families, draws) for probe, credit in erased.after.items()},
        "other_targets": [
            {
                "target": other.target.name,
                "before": accuracy(before, other.ground.families[other.ground.test], draws),
                "after": accuracy(after, other.ground.families[other.ground.test], draws),
            }
            for other, before, after in erased.others
        ],
    }
