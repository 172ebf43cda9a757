"""Skills about forces: magnets that attract or repel, the size of a magnetic force, a balance."""

from random import Random

from llava_core.data.mini.canvas import WHITE, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)


def _magnet(
    canvas: Canvas, left: float, top: float, width: float, height: float, colour: str, ends: str
) -> None:
    """Draw a bar magnet; ``ends`` names its left and right pole. The north half carries the colour."""
    half = width / 2
    for k, pole in enumerate(ends):
        box = (left + k * half, top, left + (k + 1) * half, top + height)
        canvas.rectangle(box, colour if pole == "N" else WHITE)
        canvas.letter(pole, (left + (k + 0.5) * half - height * 0.17, top + height * 0.25), height * 0.5)


def _sample_magnets(rng: Random) -> Scene:
    left, right = two(rng, _COLOURS)
    return {
        "left": left,
        "right": right,
        "left_poles": rng.choice(("NS", "SN")),
        "right_poles": rng.choice(("NS", "SN")),
        "gap": rng.choice(("near", "far")),
        "paper": rng.choice(_PAPERS),
    }


def _draw_magnets(canvas: Canvas, scene: Scene, rng: Random) -> None:
    gap = 5 if scene["gap"] == "near" else 13
    y, x, height = 37 + jitter(rng, 16), jitter(rng, 2), 24 + jitter(rng, 3)
    width = 46 - gap / 2
    _magnet(canvas, 3 + x, y, width, height, str(scene["left"]), str(scene["left_poles"]))
    _magnet(canvas, 3 + x + width + gap, y, width, height, str(scene["right"]), str(scene["right_poles"]))


def _facing(scene: Scene) -> tuple[str, str]:
    words = {"N": "north", "S": "south"}
    return words[str(scene["left_poles"])[1]], words[str(scene["right_poles"])[0]]


def _caption_magnets(scene: Scene, rng: Random) -> str:
    left, right = _facing(scene)
    gap = "close together" if scene["gap"] == "near" else "far apart"
    return rng.choice(
        (
            f"a {scene['left']} magnet and a {scene['right']} magnet {gap} on {scene['paper']} paper ; "
            f"the {left} pole faces the {right} pole",
            f"two magnets {gap} on {scene['paper']} paper , {scene['left']} on the left and "
            f"{scene['right']} on the right ; {left} pole faces {right} pole",
        )
    )


def _ask_magnets(scene: Scene, rng: Random) -> Asked:
    left, right = _facing(scene)
    answer = "attract" if left != right else "repel"
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"Will {who}'s {scene['left']} and {scene['right']} magnets attract or repel each other?",
            f"{who} has a {scene['left']} and a {scene['right']} magnet. What will they do?",
        )
    )
    kind = "different poles, so they attract" if left != right else "the same pole twice, so they repel"
    solution = f"The {left} pole faces the {right} pole: {kind}."
    return Asked(
        question=question,
        right=answer,
        wrong=("repel" if answer == "attract" else "attract",),
        solution=solution,
    )


MAGNETS = Skill(
    title="Predict whether magnets attract or repel",
    subject="natural science",
    topic="physics",
    category="Velocity, acceleration, and forces",
    grade=4,
    lecture="Different poles of two magnets attract each other, equal poles repel each other.",
    sample=_sample_magnets,
    ask=_ask_magnets,
    combinations=lambda scene: (f"{scene['left']} {scene['right']}",),
    caption=_caption_magnets,
    draw=_draw_magnets,
)


_GAPS = {"small": 4, "middle": 18, "large": 34}


def _sample_pairs(rng: Random) -> Scene:
    top, bottom = two(rng, _COLOURS)
    answer = rng.choice(("first", "second", "same"))
    near, far = sorted(rng.sample(range(3), 2))
    sizes = tuple(_GAPS)
    gaps = {"first": (near, far), "second": (far, near), "same": (near, near)}[answer]
    return {
        "first": top,
        "second": bottom,
        "first_gap": sizes[gaps[0]],
        "second_gap": sizes[gaps[1]],
        "paper": rng.choice(_PAPERS),
    }


def _draw_pairs(canvas: Canvas, scene: Scene, rng: Random) -> None:
    for row, pair in enumerate(("first", "second")):
        gap = _GAPS[str(scene[f"{pair}_gap"])]
        y = 14 + row * 46 + jitter(rng, 4)
        x = jitter(rng, 2)
        _magnet(canvas, 48 + x - gap / 2 - 28, y, 28, 22, str(scene[pair]), "NS")
        _magnet(canvas, 50 + x + gap / 2, y, 28, 22, str(scene[pair]), "NS")


def _caption_pairs(scene: Scene, rng: Random) -> str:
    first = f"the {scene['first']} pair on top has a {scene['first_gap']} gap"
    second = f"the {scene['second']} pair below has a {scene['second_gap']} gap"
    both = rng.choice((f"{first} and {second}", f"{second} and {first}"))
    return f"two pairs of magnets on {scene['paper']} paper ; {both}"


def _ask_pairs(scene: Scene, rng: Random) -> Asked:
    first, second = str(scene["first"]), str(scene["second"])
    gaps = [_GAPS[str(scene[f"{pair}_gap"])] for pair in ("first", "second")]
    same = "both pairs are the same"
    names = (f"the {first} pair", f"the {second} pair")
    right = same if gaps[0] == gaps[1] else names[gaps[0] > gaps[1]]
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"In which of {who}'s pairs is the magnetic force stronger?",
            f"{who} compares two pairs of magnets. Which pair pulls harder?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(option for option in (*names, same) if option != right),
        solution=(
            "A smaller gap means a stronger force. "
            f"The gaps are {scene['first_gap']} and {scene['second_gap']}."
        ),
    )


MAGNET_FORCE = Skill(
    title="Compare magnitudes of magnetic forces",
    subject="natural science",
    topic="physics",
    category="Velocity, acceleration, and forces",
    grade=6,
    lecture="The closer two magnets are, the stronger is the force between them.",
    sample=_sample_pairs,
    ask=_ask_pairs,
    combinations=lambda scene: (f"{scene['first']} {scene['second']}",),
    caption=_caption_pairs,
    draw=_draw_pairs,
)


def _sample_balance(rng: Random) -> Scene:
    left, right = two(rng, _COLOURS)
    return {
        "left": left,
        "right": right,
        "heavier": rng.choice(("left", "right", "none")),
        "beam": rng.choice(_COLOURS),
        "paper": rng.choice(_PAPERS),
    }


def _draw_balance(canvas: Canvas, scene: Scene, rng: Random) -> None:
    tilt = {"left": 13, "right": -13, "none": 0}[str(scene["heavier"])]
    x, y = 50 + jitter(rng, 4), 50 + jitter(rng, 6)
    canvas.polygon([(x, y), (x + 12, y + 36), (x - 12, y + 36)], str(scene["beam"]))
    canvas.line([(x - 36, y + tilt), (x + 36, y - tilt)], 5)
    for side, colour in ((-1, scene["left"]), (1, scene["right"])):
        centre_x, end_y = x + side * 30, y - side * tilt * 30 / 36
        canvas.rectangle((centre_x - 11, end_y - 25, centre_x + 11, end_y - 2), str(colour))


def _caption_balance(scene: Scene, rng: Random) -> str:
    state = {
        "left": f"tilts left , the {scene['left']} box is heavier",
        "right": f"tilts right , the {scene['right']} box is heavier",
        "none": "is level",
    }[str(scene["heavier"])]
    return rng.choice(
        (
            f"a balance with a {scene['beam']} stand on {scene['paper']} paper {state} ; "
            f"{scene['left']} box left , {scene['right']} box right",
            f"on {scene['paper']} paper , a {scene['left']} box and a {scene['right']} box on a balance "
            f"with a {scene['beam']} stand ; it {state}",
        )
    )


def _ask_balance(scene: Scene, rng: Random) -> Asked:
    names = {
        "left": f"the {scene['left']} box",
        "right": f"the {scene['right']} box",
        "none": "both are equal",
    }
    right = names[str(scene["heavier"])]
    who = rng.choice(NAMES)
    question = rng.choice(
        (f"Which of {who}'s boxes is heavier?", f"{who} weighs two boxes. Which one weighs more?")
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(name for name in names.values() if name != right),
        solution=f"The heavier side of a balance goes down: {right}.",
    )


BALANCE = Skill(
    title="Compare weights on a balance",
    subject="natural science",
    topic="physics",
    category="Mass and weight",
    grade=2,
    lecture="The heavier side of a balance sinks; a level balance carries equal weights.",
    sample=_sample_balance,
    ask=_ask_balance,
    combinations=lambda scene: (f"{scene['left']} {scene['right']}",),
    caption=_caption_balance,
    draw=_draw_balance,
)
