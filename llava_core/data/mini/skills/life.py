"""Skills about living things and objects: Punnett squares, food chains, common properties, counting."""

from random import Random

from llava_core.data.mini.canvas import WHITE, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS, SHAPES
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, others, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)
_CELLS = ((0, 0), (1, 0), (0, 1), (1, 1))
_RATIOS = tuple(f"{k} to {4 - k}" for k in range(5))


def _sample_punnett(rng: Random) -> Scene:
    first, second = two(rng, _COLOURS)
    n = rng.randrange(5)
    return {
        "first": first,
        "second": second,
        "cells": sorted(rng.sample(range(4), n)),
        "paper": rng.choice(_PAPERS),
    }


def _first_cells(scene: Scene) -> list[int]:
    cells = scene["cells"]
    assert isinstance(cells, list)
    return [int(cell) for cell in cells]


def _draw_punnett(canvas: Canvas, scene: Scene, rng: Random) -> None:
    x, y = 14 + jitter(rng, 4), 14 + jitter(rng, 4)
    for k, (column, row) in enumerate(_CELLS):
        left, top = x + column * 36, y + row * 36
        canvas.rectangle((left, top, left + 36, top + 36), WHITE, edge=2)
        colour = str(scene["first"] if k in _first_cells(scene) else scene["second"])
        for dx, dy in ((-7, 0), (7, 0), (0, -7), (0, 7)):
            canvas.disc((left + 18 + dx, top + 18 + dy), 6.5, colour, edge=0.8)
        canvas.disc((left + 18, top + 18), 3.5, "yellow", edge=0.8)


def _caption_punnett(scene: Scene, rng: Random) -> str:
    places = ("upper left", "upper right", "lower left", "lower right")
    cells = [places[k] for k in _first_cells(scene)]
    where = " and ".join(cells) if cells else "no cell"
    n = len(cells)
    return (
        f"a square of four flowers on {scene['paper']} paper , {n} {scene['first']} and "
        f"{4 - n} {scene['second']} ; "
        f"{scene['first']} in {where}"
    )


def _ask_punnett(scene: Scene, rng: Random) -> Asked:
    n = len(_first_cells(scene))
    right = _RATIOS[n]
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"In {who}'s Punnett square, what is the ratio of {scene['first']} to {scene['second']} flowers?",
            f"{who} crosses two plants. What ratio of {scene['first']} to {scene['second']} flowers comes?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=others(rng, _RATIOS, right, 3),
        solution=f"{n} of the four boxes are {scene['first']} and {4 - n} are {scene['second']}.",
    )


PUNNETT = Skill(
    title="Use Punnett squares to calculate ratios",
    subject="natural science",
    topic="biology",
    category="Genes to traits",
    grade=8,
    lecture="Each box of a Punnett square is one equally likely kind of offspring.",
    sample=_sample_punnett,
    ask=_ask_punnett,
    combinations=lambda scene: (f"{scene['first']} {scene['second']}",),
    caption=_caption_punnett,
    draw=_draw_punnett,
)


def _sample_chain(rng: Random) -> Scene:
    return {
        "animals": rng.sample(_COLOURS, 3),
        "arrows": rng.choice(("right", "left")),
        "kind": rng.choice(("fish", "bird")),
        "paper": rng.choice(_PAPERS),
    }


def _animals(scene: Scene) -> list[str]:
    animals = scene["animals"]
    assert isinstance(animals, list)
    return [str(animal) for animal in animals]


def _draw_chain(canvas: Canvas, scene: Scene, rng: Random) -> None:
    y = 50 + jitter(rng, 14)
    for k, colour in enumerate(_animals(scene)):
        x = 15 + k * 35
        if scene["kind"] == "fish":
            canvas.polygon([(x + 6, y), (x + 12, y - 8), (x + 12, y + 8)], colour)
            canvas.disc((x - 1, y), 10, colour)
        else:
            canvas.disc((x, y), 10, colour)
            canvas.polygon([(x - 9, y - 3), (x - 14, y), (x - 9, y + 3)], "orange")
            canvas.polygon([(x - 3, y - 2), (x + 9, y - 16), (x + 8, y + 3)], colour)
        canvas.disc((x - 4, y - 3), 1.8, WHITE, edge=0.8)
    for k in range(2):
        left, right = (28 + k * 35, y + 20), (38 + k * 35, y + 20)
        ends = ((left[0] - 9, left[1]), (right[0] + 9, right[1]))
        start, end = ends if scene["arrows"] == "right" else ends[::-1]
        canvas.arrow(start, end, head=11, width=4)


def _caption_chain(scene: Scene, rng: Random) -> str:
    first, second, third = _animals(scene)
    kind = scene["kind"]
    start = first if scene["arrows"] == "right" else third
    return rng.choice(
        (
            f"a food chain on {scene['paper']} paper of a {first} , a {second} and a {third} {kind} ; "
            f"arrows point {scene['arrows']} and start at {start}",
            f"{first} {kind} , {second} {kind} , {third} {kind} on {scene['paper']} paper , a food chain "
            f"whose arrows point {scene['arrows']} , starting at {start}",
        )
    )


def _ask_chain(scene: Scene, rng: Random) -> Asked:
    order = _animals(scene) if scene["arrows"] == "right" else _animals(scene)[::-1]
    who = rng.choice(NAMES)
    end, place = rng.choice((("first", 0), ("last", 2)))
    kind = scene["kind"]
    question = rng.choice(
        (
            f"Which {kind} comes {end} in {who}'s food chain?",
            f"{who} follows the arrows of this food chain. Which {kind} is {end}?",
        )
    )
    right = f"the {order[place]} {kind}"
    return Asked(
        question=question,
        right=right,
        wrong=tuple(f"the {colour} {kind}" for colour in _animals(scene) if colour != order[place]),
        solution=f"The arrows point {scene['arrows']}, so the chain runs {', '.join(order)}.",
    )


FOOD_CHAIN = Skill(
    title="Interpret food chains",
    subject="natural science",
    topic="biology",
    category="Ecosystems",
    grade=5,
    lecture="Arrows of a food chain point from what is eaten to what eats it.",
    sample=_sample_chain,
    ask=_ask_chain,
    combinations=lambda scene: (" ".join(_animals(scene)[:2]),),
    caption=_caption_chain,
    draw=_draw_chain,
)


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
        solution=f"All three objects are {right}; each other property fits at most two of them.",
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
