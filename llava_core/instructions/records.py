"""Training records out of read replies, in LLaVA's schema.

Every random choice depends on seed, kind and image only.
"""

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.errors import InputError
from llava_core.instructions.kinds import Kind
from llava_core.instructions.replies import Pair
from llava_core.instructions.scene import Scene

Record = dict[str, Any]


def record(kind: Kind, scene: Scene, pairs: Sequence[Pair], *, questions: Sequence[str], seed: int) -> Record:
    """Return one record.

    Parameters
    ----------
    kind : Kind
    scene : Scene
    pairs : sequence of Pair
        One or more. A question that is missing is drawn.
    questions : sequence of str
        What it is drawn from.
    seed : int

    Returns
    -------
    dict
        ``id``, ``image``, ``conversations``. The image's mark stands before or after the first question at
        random, as published. The same for the same arguments, whatever other records there are.
    """
    draws = Random(f"{seed}/{kind.name}/{scene.id}")
    image_first = draws.random() < 0.5
    turns: list[dict[str, str]] = []
    for pair in pairs:
        question = pair.question if pair.question is not None else draws.choice(questions)
        if not turns:
            question = f"{IMAGE_TOKEN}\n{question}" if image_first else f"{question}\n{IMAGE_TOKEN}"
        turns += [{"from": "human", "value": question}, {"from": "gpt", "value": pair.answer}]
    return {"id": scene.id, "image": scene.image, "conversations": turns}


def questions_of(record: Mapping[str, Any]) -> list[str]:
    """Return what the human asks in a record, without the image's mark."""
    turns = record["conversations"]
    return [turn["value"].replace(IMAGE_TOKEN, "").strip() for turn in turns if turn["from"] == "human"]


def answers_of(record: Mapping[str, Any]) -> list[str]:
    """Return what the model answers in a record."""
    return [turn["value"] for turn in record["conversations"] if turn["from"] == "gpt"]


def choose_scenes(
    n_scenes: int, kinds: Sequence[str], per_kind: int | None, *, seed: int, draw: str
) -> list[list[int]]:
    """Choose which images are asked about for each kind.

    Parameters
    ----------
    n_scenes : int
    kinds : sequence of str
    per_kind : int or None
        Images per kind; all if None.
    seed : int
    draw : {"independent", "same", "apart"}
        Each kind draws images of its own (one may be asked about for several kinds, as in
        LLaVA-Instruct-158K), all kinds use the same, or no image is used twice.

    Returns
    -------
    list of list of int
        Indexes of scenes per kind. A larger `per_kind` adds to what a smaller one chose, so that no reply
        which has been paid for is lost.

    Raises
    ------
    InputError
        If there are fewer images than wanted.
    """
    most = n_scenes // len(kinds) if draw == "apart" else n_scenes
    if most < 1 or (per_kind is not None and per_kind > most):
        told = f", with no image used twice for {len(kinds)} kinds" if draw == "apart" else ""
        raise InputError(
            f"got {per_kind or 1}, allowed are 1 to {most}: there are {n_scenes} images{told}",
            field="per-kind",
        )
    n_chosen = most if per_kind is None else per_kind
    chosen: list[list[int]] = []
    for place, kind in enumerate(kinds):
        order = list(range(n_scenes))
        Random(f"{seed}/images/{kind if draw == 'independent' else draw}").shuffle(order)
        dealt = order[place :: len(kinds)] if draw == "apart" else order
        chosen.append(dealt[:n_chosen])
    return chosen
