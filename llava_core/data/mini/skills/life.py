"""Skills about living things: Punnett squares and food chains."""

from random import Random

from llava_core.data.mini.canvas import WHITE, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)
_CELLS = ((0, 0), (1, 0), (0, 1), (1, 1))
_RATIOS = ("1 to 3", "2 to 2", "3 to 1")


def _sample_punnett(rng: Random) -> Scene:
    # The four flowers as they stand, so that a picture has one scene whichever colour is asked about first.
    first, second = two(rng, _COLOURS)
    cells = rng.sample(range(4), rng.randint(1, 3))
    return {"flowers": [first if k in cells else second for k in range(4)], "paper": rng.choice(_PAPERS)}


def _flowers(scene: Scene) -> list[str]:
    flowers = scene["flowers"]
    assert isinstance(flowers, list)
    return [str(flower) for flower in flowers]


def _two_colours(scene: Scene, rng: Random) -> tuple[str, str]:
    """Return the two colours of the flowers, in either order."""
    first, second = rng.sample(sorted(set(_flowers(scene))), 2)
    return first, second


def _draw_punnett(canvas: Canvas, scene: Scene, rng: Random) -> None:
    x, y = 14 + jitter(rng, 4), 14 + jitter(rng, 4)
    for colour, (column, row) in zip(_flowers(scene), _CELLS, strict=True):
        left, top = x + column * 36, y + row * 36
        canvas.rectangle((left, top, left + 36, top + 36), WHITE, edge=2)
        for dx, dy in ((-7, 0), (7, 0), (0, -7), (0, 7)):
            canvas.disc((left + 18 + dx, top + 18 + dy), 6.5, colour, edge=0.8)
        canvas.disc((left + 18, top + 18), 3.5, "yellow", edge=0.8)


def _caption_punnett(scene: Scene, rng: Random) -> str:
    first, second = _two_colours(scene, rng)
    places = ("upper left", "upper right", "lower left", "lower right")
    cells = [place for place, colour in zip(places, _flowers(scene), strict=True) if colour == first]
    return (
        f"a square of four flowers on {scene['paper']} paper , {len(cells)} {first} and "
        f"{4 - len(cells)} {second} ; {first} in {' and '.join(cells)}"
    )


def _ask_punnett(scene: Scene, rng: Random) -> Asked:
    first, second = _two_colours(scene, rng)
    n = _flowers(scene).count(first)
    right = f"{n} to {4 - n}"
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"In {who}'s Punnett square, what is the ratio of {first} to {second} flowers?",
            f"{who} crosses two plants. What ratio of {first} to {second} flowers comes?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(ratio for ratio in _RATIOS if ratio != right),
        solution=f"{n} of the four boxes are {first} and {4 - n} are {second}.",
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
    combinations=lambda scene: (" ".join(sorted(set(_flowers(scene)))),),
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
