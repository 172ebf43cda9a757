"""What LLaVA's own answers lose when a concept is erased from the image tokens that it reads [edge]."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from studies import stats
from studies.catalog.probing.material import Material
from studies.catalog.probing.probed import Probed
from studies.catalog.probing.stages import PROJECTOR
from studies.erased import ERASED, RANDOM, WHOLE, score_erased
from studies.predictions import shares
from studies.probing import ClassTask
from studies.progress import Progress
from studies.rundir import RunDir
from studies.spec.probing import ProbingSpec


def asks_llava(material: Material) -> bool:
    """Whether LLaVA, questions and a concept to erase are at hand."""
    is_concept = (isinstance(target.task, ClassTask) for target in material.targets)
    return material.checkpoints is not None and bool(material.examples) and any(is_concept)


def erase_from_answers(
    spec: ProbingSpec,
    run: RunDir,
    material: Material,
    probed: Sequence[Probed],
    progress: Progress,
    *,
    draws: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return LLaVA's accuracy without each concept, and without as much that is random.

    Empty where LLaVA, the questions or their images are not at hand.

    Parameters
    ----------
    spec, run, material, progress
        Of the run.
    probed : sequence of Probed
        By target; those with classes are erased.
    draws : mapping
        Level, resamples and seed of the intervals.
    """
    if not asks_llava(material):
        return []
    rows = []
    for concept in probed:
        row = _row(spec, run, material, concept, progress, draws)
        if row is not None:
            rows.append(row)
    return rows


def _row(
    spec: ProbingSpec,
    run: RunDir,
    material: Material,
    concept: Probed,
    progress: Progress,
    draws: Mapping[str, Any],
) -> dict[str, Any] | None:
    task, ground = concept.task, concept.ground
    if not isinstance(task, ClassTask):
        return None
    shown = np.array([material.examples[item].image is not None for item in ground.items])
    known = np.array([material.examples[item].answer is not None for item in ground.items])
    train, test = ground.train[shown[ground.train]], ground.test[(shown & known)[ground.test]]
    labels = {material.examples[ground.items[place]].id: str(task.labels[place]) for place in train}
    if len(set(labels.values())) < 2 or not len(test):
        return None
    assert material.checkpoints is not None
    assert material.fingerprint is not None
    examples = [material.examples[item] for item in ground.items[test]]
    scores = score_erased(
        spec,
        run,
        material.checkpoints,
        examples,
        concept=concept.target.name,
        fit_on=[material.examples[item] for item in ground.items[train]],
        labels=labels,
        fingerprint=material.fingerprint,
        progress=progress,
    )
    answer = {example.id: example.answer for example in examples}
    order = [example.id for example in examples]
    credit = {variant: _credit(scores, variant, answer, order) for variant in (WHOLE, ERASED, RANDOM)}
    families = ground.families[test]

    def accuracy(variant: str) -> dict[str, Any]:
        return asdict(stats.accuracy_estimate(credit[variant], families, **draws))

    return {
        "concept": concept.target.name,
        "stage": PROJECTOR,
        "before": accuracy(WHOLE),
        "after": accuracy(ERASED),
        "random": accuracy(RANDOM),
        "difference": asdict(stats.mean_estimate(credit[ERASED] - credit[WHOLE], families, **draws)),
        "against_random": asdict(stats.mean_estimate(credit[ERASED] - credit[RANDOM], families, **draws)),
        "n": len(test),
    }


def _credit(
    scores: pd.DataFrame, variant: str, answer: Mapping[str, int | None], order: Sequence[str]
) -> NDArray[np.float64]:
    """Return what each question earns, in the order given: the likeliest option, ties shared."""
    rows = scores[scores["variant"] == variant]
    question = pd.factorize(rows["example_id"])[0]
    is_right = rows["example_id"].map(answer) == rows["option_index"]
    earned = shares(rows["mean_logprob"].to_numpy(), question) * is_right.to_numpy()
    by_id = pd.Series(earned, index=rows["example_id"]).groupby(level=0).sum()
    return np.asarray(by_id.loc[list(order)], dtype=np.float64)
