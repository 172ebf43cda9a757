"""Skills about diagrams: bars of a chart, towns on a map, switches of a circuit, phases of the moon."""

from random import Random

from llava_core.data.mini.canvas import INK, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, others, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)


def _texts(scene: Scene, field: str) -> list[str]:
    values = scene[field]
    assert isinstance(values, list)
    return [str(value) for value in values]


def _numbers(scene: Scene, field: str) -> list[int]:
    return [int(value) for value in _texts(scene, field)]


def _sample_bars(rng: Random) -> Scene:
    return {
        "colours": rng.sample(_COLOURS, 4),
        "heights": rng.sample((1, 2, 4, 6, 8), 4),
        "paper": rng.choice(_PAPERS),
    }


def _draw_bars(canvas: Canvas, scene: Scene, rng: Random) -> None:
    base = 88 + jitter(rng, 3)
    for k, (colour, height) in enumerate(
        zip(_texts(scene, "colours"), _numbers(scene, "heights"), strict=True)
    ):
        left = 12 + k * 21 + jitter(rng, 1)
        canvas.rectangle((left, base - height * 9.5, left + 16, base), colour)
    canvas.line([(8, 6), (8, base), (98, base)], 2.5)


def _caption_bars(scene: Scene, rng: Random) -> str:
    bars = [f"{c} {h}" for c, h in zip(_texts(scene, "colours"), _numbers(scene, "heights"), strict=True)]
    return f"a bar chart on {scene['paper']} paper with bars {' , '.join(bars)}" + rng.choice(
        ("", f" ; tallest {_extreme(scene, longest=True)}", f" ; shortest {_extreme(scene, longest=False)}")
    )


def _extreme(scene: Scene, *, longest: bool) -> str:
    bars = list(zip(_numbers(scene, "heights"), _texts(scene, "colours"), strict=True))
    return (max(bars) if longest else min(bars))[1]


def _ask_bars(scene: Scene, rng: Random) -> Asked:
    longest = rng.random() < 0.5
    who = rng.choice(NAMES)
    end, most = ("tallest", "most") if longest else ("shortest", "fewest")
    question = rng.choice(
        (
            f"Which bar of {who}'s chart is the {end}?",
            f"{who} counted birds of four colours. Which are the {most}?",
        )
    )
    right = _extreme(scene, longest=longest)
    return Asked(
        question=question,
        right=right,
        wrong=tuple(colour for colour in _texts(scene, "colours") if colour != right),
        solution=f"The {end} bar is {right}.",
    )


BAR_CHART = Skill(
    title="Interpret bar graphs",
    subject="natural science",
    topic="science-and-engineering-practices",
    category="Data and graphs",
    grade=3,
    lecture="The height of a bar tells the number it stands for.",
    sample=_sample_bars,
    ask=_ask_bars,
    combinations=lambda scene: (" ".join(_texts(scene, "colours")[:2]),),
    caption=_caption_bars,
    draw=_draw_bars,
)


_DIRECTIONS = ("north", "south", "west", "east")


def _sample_map(rng: Random) -> Scene:
    # Towns from north to south; columns are a permutation, so that one town is farthest in each direction.
    return {
        "towns": rng.sample(_COLOURS, 4),
        "columns": rng.sample(range(4), 4),
        "paper": rng.choice(_PAPERS),
    }


def _draw_map(canvas: Canvas, scene: Scene, rng: Random) -> None:
    x0, y0 = 14 + jitter(rng, 3), 20 + jitter(rng, 2)
    canvas.polygon(
        [(3, 12), (30, 6), (70, 9), (97, 5), (95, 50), (98, 95), (60, 92), (20, 97), (4, 90)], (232, 224, 200)
    )
    for row, (colour, column) in enumerate(
        zip(_texts(scene, "towns"), _numbers(scene, "columns"), strict=True)
    ):
        canvas.disc((x0 + column * 23, y0 + row * 20), 9, colour, edge=2)
    canvas.letter("N", (47, 0.8), 6)


def _from_west(scene: Scene) -> list[str]:
    return [town for _, town in sorted(zip(_numbers(scene, "columns"), _texts(scene, "towns"), strict=True))]


def _farthest(scene: Scene, direction: str) -> str:
    towns = _texts(scene, "towns") if direction in ("north", "south") else _from_west(scene)
    return towns[0 if direction in ("north", "west") else -1]


def _caption_map(scene: Scene, rng: Random) -> str:
    down, across = _texts(scene, "towns"), _from_west(scene)
    return (
        f"a map on {scene['paper']} paper with towns {' , '.join(down)} from north to south and "
        f"{' , '.join(across)} from west to east"
    )


def _ask_map(scene: Scene, rng: Random) -> Asked:
    direction = rng.choice(_DIRECTIONS)
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"Which town on {who}'s map is farthest {direction}?",
            f"{who} walks to the town farthest {direction}. Which?",
        )
    )
    right = _farthest(scene, direction)
    return Asked(
        question=question,
        right=right,
        wrong=tuple(town for town in _texts(scene, "towns") if town != right),
        solution=f"North is up. The town farthest {direction} is {right}.",
    )


MAP_DIRECTIONS = Skill(
    title="Read a map: cardinal directions",
    subject="social science",
    topic="geography",
    category="Maps",
    grade=3,
    lecture="On this map north is up, south is down, west is left and east is right.",
    sample=_sample_map,
    ask=_ask_map,
    combinations=lambda scene: (" ".join(_texts(scene, "towns")[:2]),),
    caption=_caption_map,
    draw=_draw_map,
)


def _sample_circuit(rng: Random) -> Scene:
    first, second = two(rng, _COLOURS)
    return {
        "first": first,
        "second": second,
        "first_switch": rng.choice(("open", "closed")),
        "second_switch": rng.choice(("open", "closed")),
        "battery": rng.choice(_COLOURS),
        "paper": rng.choice(_PAPERS),
    }


def _draw_circuit(canvas: Canvas, scene: Scene, rng: Random) -> None:
    shift = jitter(rng, 2)
    for k, loop in enumerate(("first", "second")):
        top = 8 + 46 * k + shift
        canvas.line([(44, top), (14, top), (14, top + 36), (86, top + 36), (86, top), (68, top)], 3)
        canvas.rectangle((6, top + 10, 22, top + 28), str(scene["battery"]), edge=2)
        canvas.disc((86, top + 19), 10.5, str(scene[loop]), edge=2)
        end = (68, top) if scene[f"{loop}_switch"] == "closed" else (62, top + 19)
        canvas.line([(44, top), end], 5)
        for x in (44, 68):
            canvas.disc((x, top), 3, INK, edge=0)


def _caption_circuit(scene: Scene, rng: Random) -> str:
    parts = [
        f"the {scene[loop]} bulb has an {scene[f'{loop}_switch']} switch" for loop in ("first", "second")
    ]
    parts = [part.replace("an closed", "a closed") for part in parts]
    order = rng.choice((f"on top {parts[0]} , below {parts[1]}", f"below {parts[1]} , on top {parts[0]}"))
    return f"two circuits with {scene['battery']} batteries on {scene['paper']} paper ; {order}"


def _ask_circuit(scene: Scene, rng: Random) -> Asked:
    lit = [str(scene[loop]) for loop in ("first", "second") if scene[f"{loop}_switch"] == "closed"]
    names = (f"the {scene['first']} bulb", f"the {scene['second']} bulb", "both bulbs", "no bulb")
    right = names[2] if len(lit) == 2 else names[3] if not lit else f"the {lit[0]} bulb"
    who = rng.choice(NAMES)
    question = rng.choice(
        (f"Which bulb lights up in {who}'s circuits?", f"{who} built two circuits. What lights up?")
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(name for name in names if name != right),
        solution=f"A bulb lights up if its switch is closed: {right}.",
    )


CIRCUITS = Skill(
    title="Predict which bulb lights up",
    subject="natural science",
    topic="physics",
    category="Electricity",
    grade=4,
    lecture="Electric current flows only in a closed circuit.",
    sample=_sample_circuit,
    ask=_ask_circuit,
    combinations=lambda scene: (f"{scene['first']} {scene['second']}",),
    caption=_caption_circuit,
    draw=_draw_circuit,
)


_PHASES = ("new moon", "first quarter", "full moon", "last quarter")


def _sample_moon(rng: Random) -> Scene:
    sky = rng.choice(("blue", "purple", "green", "brown"))
    return {
        "phase": rng.choice(_PHASES),
        "sky": sky,
        "stars": others(rng, _COLOURS, sky, 1)[0],
        "n_stars": rng.randint(1, 6),
        "paper": rng.choice(_PAPERS),
    }


def _draw_moon(canvas: Canvas, scene: Scene, rng: Random) -> None:
    canvas.rectangle((5, 5, 95, 95), str(scene["sky"]), edge=2)
    x, y, r = 50 + jitter(rng, 7), 50 + jitter(rng, 6), 23
    bright, dark = (252, 248, 225), (45, 48, 60)
    phase = scene["phase"]
    canvas.disc((x, y), r, bright if phase == "full moon" else dark, edge=2)
    if phase in ("first quarter", "last quarter"):
        # Northern hemisphere: the first quarter is lit on the right.
        side = 1 if phase == "first quarter" else -1
        half = [(x + side * (r * r - dy * dy) ** 0.5, y + dy) for dy in range(-r, r + 1)]
        canvas.polygon(half, bright)
    corners = [(14, 14), (86, 14), (14, 86), (86, 86), (50, 12), (50, 88)]
    for star_x, star_y in corners[: int(str(scene["n_stars"]))]:
        canvas.shape("star", (star_x, star_y), 5, str(scene["stars"]))


def _caption_moon(scene: Scene, rng: Random) -> str:
    stars = f"{scene['n_stars']} {scene['stars']} stars"
    return rng.choice(
        (
            f"a {scene['phase']} in a {scene['sky']} sky with {stars} , framed by {scene['paper']} paper",
            f"{stars} and a {scene['phase']} , {scene['sky']} sky on {scene['paper']} paper",
        )
    )


def _ask_moon(scene: Scene, rng: Random) -> Asked:
    right = str(scene["phase"])
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"Which phase is {who}'s moon between the {scene['stars']} stars?",
            f"{who} saw a moon and {scene['stars']} stars. Which phase was it?",
        )
    )
    wrong = rng.sample([phase for phase in _PHASES if phase != right], 2)
    return Asked(
        question=question,
        right=right,
        wrong=tuple(wrong),
        solution=f"The lit part of the moon shows a {right}.",
    )


MOON_PHASES = Skill(
    title="Identify phases of the moon",
    subject="natural science",
    topic="earth-science",
    category="Astronomy",
    grade=5,
    lecture="From new moon to full moon the lit part grows from the right, as seen from the north.",
    sample=_sample_moon,
    ask=_ask_moon,
    combinations=lambda scene: (f"{scene['sky']} {scene['stars']}",),
    caption=_caption_moon,
    draw=_draw_moon,
)
