"""The parts of the bundled data and what keeps them apart.

Two hashes decide where an instance may go. The hash of its scene (skill and attribute values, of which the
caption names every one) gives one of five zones, one per part. The hash of question and options gives one of
three: training, validation, test. An instance belongs to a part only if both agree, so that neither a scene,
nor a caption, nor a question with its options can occur on both sides. Combinations of attributes (image
skills) and entities (facts) whose own hash falls in the reserve occur in the test alone. No hash depends on
the seed: the val and test parts of one seed are apart from the training parts of any other.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from PIL import Image

from llava_core.data.mini.canvas import Canvas
from llava_core.data.mini.reserve import hash_frac, is_reserved, text_hash
from llava_core.data.mini.skill import Asked, Scene, Skill, canonical
from llava_core.data.mini.skills import FACT_SKILLS, IMAGE_SKILLS, RULE_SKILLS, SKILLS

VERSION = 3
"""Of the generator: raised with every change of what it draws, see docs/mini_scienceqa.md."""
PARTS = ("pretrain", "train_llm", "train_ensemble", "val", "test")
STUDY_PARTS = PARTS[1:]
"""What a study needs; ``pretrain`` is for the shipped models only."""

_SCENE_ZONES = {"pretrain": 0.40, "train_llm": 0.72, "train_ensemble": 0.82, "val": 0.89, "test": 1.0}
_QUESTION_ZONES = {"train": 0.80, "val": 0.88, "test": 1.0}
_MAX_DRAWS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """How many questions of a kind a slice of a part has."""

    slice: str
    skills: Sequence[str]
    n: int
    """Shared out evenly over the skills."""
    reserved: bool = False
    """Take held-out combinations and entities, and nothing else."""


QUOTAS: dict[str, tuple[Quota, ...]] = {
    "pretrain": (Quota(slice="main", skills=IMAGE_SKILLS, n=21_000),),
    "train_llm": (
        Quota(slice="main", skills=IMAGE_SKILLS, n=14_000),
        Quota(slice="main", skills=RULE_SKILLS, n=900),
        Quota(slice="main", skills=FACT_SKILLS, n=800),
    ),
    "train_ensemble": (
        Quota(slice="main", skills=IMAGE_SKILLS, n=1540),
        Quota(slice="main", skills=RULE_SKILLS, n=300),
        Quota(slice="main", skills=FACT_SKILLS, n=300),
    ),
    "val": (
        Quota(slice="main", skills=IMAGE_SKILLS, n=560),
        Quota(slice="main", skills=RULE_SKILLS, n=120),
        Quota(slice="seen_facts", skills=FACT_SKILLS, n=80),
    ),
    "test": (
        Quota(slice="main", skills=IMAGE_SKILLS, n=980),
        Quota(slice="main", skills=RULE_SKILLS, n=240),
        Quota(slice="composition", skills=IMAGE_SKILLS, n=280, reserved=True),
        Quota(slice="facts", skills=FACT_SKILLS, n=160, reserved=True),
        Quota(slice="seen_facts", skills=FACT_SKILLS, n=120),
    ),
}
"""Slices of the test: ``main`` (new scenes and questions), ``composition`` (held-out combinations),
``facts`` (held-out entities), ``seen_facts`` (facts that training told, asked anew: memory, shown apart)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniItem:
    """One question of the bundled data."""

    skill: str
    scene: Scene
    part: str
    slice: str
    question: str
    options: tuple[str, ...]
    answer: int
    hint: str
    solution: str
    caption: str | None
    image: Image.Image | None

    @property
    def family(self) -> str:
        """Skill and hash of the scene."""
        return f"{self.skill}-{text_hash(canonical(self.skill, self.scene))[:16]}"


def generate(part: str, *, seed: int = 0) -> Iterator[MiniItem]:
    """Yield the questions of one part, slice by slice, the skills in turn.

    Parameters
    ----------
    part : str
        One of `PARTS`.
    seed : int

    Yields
    ------
    MiniItem
        The right option stands at each position equally often, per skill and number of options.

    Raises
    ------
    ValueError
        If the part is unknown.
    """
    if part not in QUOTAS:
        raise ValueError(f"got part {part!r}, allowed are {', '.join(PARTS)}")
    asked: set[str] = set()
    positions: Counter[tuple[str, int]] = Counter()
    for quota in QUOTAS[part]:
        rng = Random(f"{seed} {part} {quota.slice} {quota.skills[0]}")
        for k in range(quota.n):
            name = quota.skills[k % len(quota.skills)]
            skill = SKILLS[name]
            scene, question = _draw_instance(
                rng, name, skill, part=part, reserved=quota.reserved, asked=asked
            )
            options, answer = _placed(rng, question, positions[name, len(question.wrong)])
            positions[name, len(question.wrong)] += 1
            yield MiniItem(
                skill=name,
                scene=scene,
                part=part,
                slice=quota.slice,
                question=_with_articles(question.question),
                options=options,
                answer=answer,
                hint=question.hint,
                solution=_with_articles(question.solution),
                caption=_with_articles(skill.caption(scene, rng)) if skill.caption else None,
                image=_picture(skill, scene, rng),
            )


def draw_text_question(rng: Random, name: str) -> tuple[str, tuple[str, ...], int, str]:
    """Return question, options, answer and hint of a text skill, fit for the pre-training part."""
    _, question = _draw_instance(rng, name, SKILLS[name], part="pretrain", reserved=False, asked=set())
    options, answer = _placed(rng, question, rng.randrange(len(question.wrong) + 1))
    return _with_articles(question.question), options, answer, question.hint


def question_key(question: str, options: Sequence[str]) -> str:
    """Return the string that stands for a question with its options, in whatever order."""
    return " | ".join((question, *sorted(options)))


def _draw_instance(
    rng: Random, name: str, skill: Skill, *, part: str, reserved: bool, asked: set[str]
) -> tuple[Scene, Asked]:
    """Draw scenes and questions until both belong to the part and are new to it."""
    zone = part if part in ("val", "test") else "train"
    for _ in range(_MAX_DRAWS):
        scene = skill.sample(rng)
        key = canonical(name, scene)
        combinations = skill.combinations(scene) if skill.combinations else ()
        held_out = is_reserved(name, combinations, is_fact=skill.is_fact)
        # What is reserved occurs in the test alone, whatever its zone.
        if held_out != reserved or not (reserved or _zone(key, _SCENE_ZONES) == part):
            continue
        for _ in range(20):
            question = skill.ask(scene, rng)
            text = question_key(question.question, (question.right, *question.wrong))
            if text not in asked and _zone(f"{name} {text}", _QUESTION_ZONES) == zone:
                asked.add(text)
                return scene, question
    raise RuntimeError(f"skill {name} has no new question for part {part} after {_MAX_DRAWS} draws")


def _placed(rng: Random, question: Asked, turn: int) -> tuple[tuple[str, ...], int]:
    """Return the options in order, the right one at the position whose turn it is."""
    options = list(question.wrong)
    rng.shuffle(options)
    answer = turn % (len(options) + 1)
    options.insert(answer, question.right)
    return tuple(options), answer


def _with_articles(text: str) -> str:
    """Return the text with "an" before vowels; a capital A is the name of a flask or box."""
    return re.sub(r"\ba (?=[aeio])", "an ", text)


def _picture(skill: Skill, scene: Scene, rng: Random) -> Image.Image | None:
    if skill.draw is None:
        return None
    canvas = Canvas(str(scene["paper"]))
    skill.draw(canvas, scene, rng)
    return canvas.finish()


def _zone(text: str, zones: dict[str, float]) -> str:
    where = hash_frac(text)
    return next(name for name, end in zones.items() if where < end)
