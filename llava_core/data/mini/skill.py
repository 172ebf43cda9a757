"""What a skill of the bundled data is: how to draw a scene, put it in words, and ask about it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from llava_core.data.mini.canvas import Canvas

Scene = dict[str, str | int | list[str] | list[int]]
"""Attribute values of one instance; ``paper`` is the background of an image."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question about a scene, its options not yet in order."""

    question: str
    right: str
    wrong: tuple[str, ...]
    solution: str
    """One or two sentences that lead to the answer."""
    hint: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Skill:
    """One kind of question."""

    title: str
    subject: str
    topic: str
    category: str
    grade: int
    lecture: str
    sample: Callable[[Random], Scene]
    ask: Callable[[Scene, Random], Asked]
    combinations: Callable[[Scene], tuple[str, ...]] | None = None
    """Combinations of attributes (image skills) or the entity (facts); some are reserved for the test."""
    is_fact: bool = False
    """Whether the answer must be known: no picture, context or rule gives it."""
    caption: Callable[[Scene, Random], str] | None = None
    """Names every attribute of the scene, so that different scenes have different captions."""
    draw: Callable[[Canvas, Scene, Random], None] | None = None
    """Positions may be jittered by the generator given; attributes may not."""


def canonical(skill: str, scene: Scene) -> str:
    """Return the one string that stands for a scene: skill and attribute values."""
    return f"{skill} {json.dumps(scene, sort_keys=True, separators=(',', ':'))}"


def jitter(rng: Random, spread: float) -> float:
    """Return a shift in canvas units, between plus and minus ``spread``."""
    return rng.uniform(-spread, spread)


def two(rng: Random, values: tuple[str, ...]) -> tuple[str, str]:
    """Return two different values."""
    first, second = rng.sample(values, 2)
    return first, second


def others(rng: Random, values: tuple[str, ...], right: str, n: int) -> tuple[str, ...]:
    """Return ``n`` values that are not the right one, each set equally likely."""
    return tuple(rng.sample([value for value in values if value != right], n))
