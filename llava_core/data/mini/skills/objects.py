"""Skills about sets of objects: what they have in common, and how many of a kind there are."""

from random import Random

from llava_core.data.mini.canvas import WHITE, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS, SHAPES
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, others, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)
_PATTERNS = ("plain", "striped", "dotted")
_TRAITS = {"colour": _COLOURS, "shape": SHAPES, "pattern": _PATTERNS}


def _sample_common(rng: Random) -> Scene:
    shared = rng.choice(tuple(_TRAITS))
    scene: Scene = {"shared": shared, "paper": rng.choice(_PAPERS)}
    for trait, values in _TRAITS.items():
        if trait == shared:
            scene[trait] = [rng.choice(values)] * 3
            continue
        drawn = [rng.choice(values) for _ in range(3)]
        while len(set(drawn)) == 1:
            drawn = [rng.choice(values) for _ in range(3)]
        scene[trait] = drawn
    return scene


def _objects(scene: Scene) -> list[tuple[str, str, str]]:
    columns = []
    for trait in ("pattern", "colour", "shape"):
        values = scene[trait]
        assert isinstance(values, list)
        columns.append([str(value) for value in values])
    return list(zip(*columns, strict=True))


def _draw_common(canvas: Canvas, scene: Scene, rng: Random) -> None:
    for k, (pattern, colour, shape) in enumerate(_objects(scene)):
        x, y = 18 + k * 32 + jitter(rng, 1.5), 50 + jitter(rng, 18)
        canvas.shape(shape, (x, y), 13.5, colour)
        if pattern == "striped":
            for dy in (-3, 3, 9):
                reach = 8 if shape == "square" else 5
                canvas.line([(x - reach, y + dy), (x + reach, y + dy)], 3, WHITE)
        elif pattern == "dotted":
            for dx, dy in ((-4, 1), (4, 1), (0, 8)):
                canvas.disc((x + dx, y + dy), 2.6, WHITE, edge=0)


def _caption_common(scene: Scene, rng: Random) -> str:
    things = [f"a {pattern} {colour} {shape}" for pattern, colour, shape in _objects(scene)]
    shared = scene[str(scene["shared"])]
    assert isinstance(shared, list)
    return rng.choice(
        (
            f"on {scene['paper']} paper : {things[0]} , {things[1]} and {things[2]} ; all are {shared[0]}",
            f"three things on {scene['paper']} paper , all {shared[0]} : {' , '.join(things)}",
        )
    )


def _ask_common(scene: Scene, rng: Random) -> Asked:
    shared = scene[str(scene["shared"])]
    assert isinstance(shared, list)
    right = str(shared[0])
    rest = [trait for trait in _TRAITS if trait != scene["shared"]]
    wrong = tuple(rng.choice(_TRAITS[trait]) for trait in rest)
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"Which property do {who}'s three objects have in common?",
            f"{who} sorts these objects. What do all three have in common?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=wrong,
        solution=f"The property of all three is: {right}. Each other one fits at most two of them.",
    )


COMMON_PROPERTY = Skill(
    title="Identify common properties of objects",
    subject="natural science",
    topic="physics",
    category="Materials",
    grade=2,
    lecture="A property that every object of a group has is common to the group.",
    sample=_sample_common,
    ask=_ask_common,
    combinations=lambda scene: tuple(f"{colour} {shape}" for _, colour, shape in _objects(scene)),
    caption=_caption_common,
    draw=_draw_common,
)


_NUMBERS = tuple(str(n) for n in range(1, 7))
_PLACES = tuple((column, row) for row in range(3) for column in range(4))


def _sample_count(rng: Random) -> Scene:
    # Sorted, so that a picture has one scene whichever kind is asked about.
    kinds = sorted(zip(two(rng, _COLOURS), two(rng, SHAPES), strict=True))
    return {
        "kinds": [" ".join(kind) for kind in kinds],
        "counts": [rng.randint(1, 6), rng.randint(1, 6)],
        "paper": rng.choice(_PAPERS),
    }


def _kinds(scene: Scene) -> list[tuple[str, int]]:
    kinds, counts = scene["kinds"], scene["counts"]
    assert isinstance(kinds, list)
    assert isinstance(counts, list)
    return [(str(kind), int(str(count))) for kind, count in zip(kinds, counts, strict=True)]


def _draw_count(canvas: Canvas, scene: Scene, rng: Random) -> None:
    things = [kind for kind, n in _kinds(scene) for _ in range(n)]
    for thing, (column, row) in zip(things, rng.sample(_PLACES, len(things)), strict=True):
        colour, shape = thing.split()
        centre = (14 + column * 24 + jitter(rng, 1.5), 18 + row * 31 + jitter(rng, 2))
        canvas.shape(shape, centre, 9, colour)


def _caption_count(scene: Scene, rng: Random) -> str:
    parts = [f"{n} {kind} shapes" for kind, n in _kinds(scene)]
    rng.shuffle(parts)
    return f"{parts[0]} and {parts[1]} on {scene['paper']} paper"


def _ask_count(scene: Scene, rng: Random) -> Asked:
    kind, n = rng.choice(_kinds(scene))
    who = rng.choice(NAMES)
    question = rng.choice(
        (f"How many {kind} shapes does {who} have?", f"{who} counts the {kind} shapes. How many are there?")
    )
    return Asked(
        question=question,
        right=str(n),
        wrong=others(rng, _NUMBERS, str(n), 3),
        solution=f"Counting the {kind} shapes gives {n}.",
    )


COUNTING = Skill(
    title="Count objects",
    subject="natural science",
    topic="science-and-engineering-practices",
    category="Observing",
    grade=1,
    lecture="Count each object of the kind once, and leave out the others.",
    sample=_sample_count,
    ask=_ask_count,
    combinations=lambda scene: tuple(kind for kind, _ in _kinds(scene)),
    caption=_caption_count,
    draw=_draw_count,
)
