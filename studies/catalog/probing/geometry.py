"""The vectors themselves, without any target: similarity of stages, intrinsic dimension, modality gap.

All on the training items that have a vector at every stage; options are averaged within their item.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from studies.catalog.probing.ground import Ground
from studies.catalog.probing.targets import Target
from studies.probing import ChoiceTask, cka_matrix, modality_gap, two_nn

IMAGE, TEXT = "clip_image", "clip_text"
OF = "train"
LEAST_ITEMS = 4


def similarity(ground: Ground) -> dict[str, Any] | None:
    """Return the debiased CKA of every two stages; None of too few items."""
    if len(ground.train) < LEAST_ITEMS:
        return None
    found = cka_matrix([info.stage.take(ground.train).per_item() for info in ground.stages])
    return {
        "stages": [info.name for info in ground.stages],
        "cka": [[None if np.isnan(value) else float(value) for value in row] for row in found],
        "n": len(ground.train),
        "of": OF,
    }


def dimensions(ground: Ground, *, level: float) -> list[dict[str, Any]]:
    """Return the intrinsic dimension of each stage, beside its width; None where none exists."""
    found = []
    for info in ground.stages:
        try:
            estimate: dict[str, Any] | None = asdict(
                two_nn(info.stage.take(ground.train).per_item(), level=level)
            )
            why = None
        except ValueError as error:
            estimate, why = None, str(error)
        found.append(
            {"stage": info.name, "estimate": estimate, "why_not": why, "ambient": info.stage.dim, "of": OF}
        )
    return found


def gap(ground: Ground, targets: Sequence[Target]) -> dict[str, Any] | None:
    """Return the gap between each image and the text of its right option; None without both in one space."""
    by_name = {info.name: info.stage for info in ground.stages}
    answer = next((target for target in targets if isinstance(target.task, ChoiceTask)), None)
    if IMAGE not in by_name or TEXT not in by_name or answer is None:
        return None
    if by_name[IMAGE].dim != by_name[TEXT].dim:
        return None
    known = ground.train[answer.known[ground.items[ground.train]]]
    task = answer.task.take(ground.items[known])
    assert isinstance(task, ChoiceTask)
    if task.n_items < 2:
        return None
    text = by_name[TEXT].take(known).vectors[task.is_right]
    try:
        return {**asdict(modality_gap(by_name[IMAGE].take(known).vectors, text)), "of": OF}
    except ValueError:  # a vector of length 0 has no direction
        return None
