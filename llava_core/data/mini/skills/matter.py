"""Skills about matter: concentration of solutions, reading a thermometer, speed of particles."""

from random import Random

from llava_core.data.mini.canvas import INK, WHITE, Canvas
from llava_core.data.mini.lexicon import COLOURS, NAMES, PAPERS
from llava_core.data.mini.skill import Asked, Scene, Skill, jitter, others, two

_COLOURS = tuple(COLOURS)
_PAPERS = tuple(PAPERS)
_COUNTS = (2, 5, 9)
_GRID = tuple((column, row) for row in range(4) for column in range(3))


def _sample_solutions(rng: Random) -> Scene:
    answer = rng.choice(("A", "B", "same"))
    low, high = sorted(rng.sample(_COUNTS, 2))
    a, b = {"A": (high, low), "B": (low, high), "same": (low, low) if rng.random() < 0.5 else (high, high)}[
        answer
    ]
    particle, flask = two(rng, _COLOURS)
    return {"a": a, "b": b, "particle": particle, "lid": flask, "paper": rng.choice(_PAPERS)}


def _draw_solutions(canvas: Canvas, scene: Scene, rng: Random) -> None:
    for k, (label, n) in enumerate((("A", scene["a"]), ("B", scene["b"]))):
        left = 6 + 47 * k + jitter(rng, 1.5)
        canvas.rectangle((left, 22, left + 41, 82), (236, 246, 252), edge=2)
        canvas.rectangle((left + 2, 14, left + 39, 22), str(scene["lid"]))
        canvas.letter(label, (left + 17, 86), 10)
        for column, row in rng.sample(_GRID, int(str(n))):
            x = left + 8 + column * 12.5 + jitter(rng, 1.2)
            canvas.disc((x, 30 + row * 14.5 + jitter(rng, 1.2)), 5, str(scene["particle"]))


def _caption_solutions(scene: Scene, rng: Random) -> str:
    parts = [f"flask A holds {scene['a']}", f"flask B holds {scene['b']}"]
    rng.shuffle(parts)
    return (
        f"two flasks with {scene['lid']} lids and {scene['particle']} particles on {scene['paper']} paper ; "
        f"{parts[0]} and {parts[1]}"
    )


def _ask_solutions(scene: Scene, rng: Random) -> Asked:
    a, b = int(str(scene["a"])), int(str(scene["b"]))
    options = ("solution A", "solution B", "both are the same")
    right = options[0] if a > b else options[1] if b > a else options[2]
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"{who} put {scene['lid']} lids on both flasks. Which holds more {scene['particle']} particles?",
            f"Which of {who}'s {scene['particle']} solutions under {scene['lid']} lids is more concentrated?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(option for option in options if option != right),
        solution=f"The flasks are equally large. A holds {a} particles and B holds {b}.",
    )


SOLUTIONS = Skill(
    title="Compare concentrations of solutions",
    subject="natural science",
    topic="chemistry",
    category="Solutions",
    grade=7,
    lecture="With equal volumes, more solute particles mean a higher concentration.",
    sample=_sample_solutions,
    ask=_ask_solutions,
    combinations=lambda scene: (f"{scene['particle']} {scene['lid']}",),
    caption=_caption_solutions,
    draw=_draw_solutions,
)


_TEMPERATURES = tuple(f"{degrees} degrees" for degrees in range(0, 100, 10))


def _sample_thermometer(rng: Random) -> Scene:
    liquid, frame = two(rng, _COLOURS)
    return {
        "level": rng.randrange(10),
        "liquid": liquid,
        "frame": frame,
        "side": rng.choice(("left", "middle", "right")),
        "paper": rng.choice(_PAPERS),
    }


def _draw_thermometer(canvas: Canvas, scene: Scene, rng: Random) -> None:
    x = {"left": 27, "middle": 50, "right": 73}[str(scene["side"])] + jitter(rng, 3)
    top = 80 - int(str(scene["level"])) * 7.4
    canvas.rectangle((x - 15, 4, x + 15, 97), str(scene["frame"]))
    canvas.rectangle((x - 7, 8, x + 7, 84), WHITE)
    canvas.rectangle((x - 6, top, x + 6, 84), str(scene["liquid"]), edge=0)
    canvas.disc((x, 87), 9, str(scene["liquid"]))
    for tick in range(10):
        canvas.line([(x + 7, 80 - tick * 7.4), (x + (15 if tick % 5 == 0 else 11), 80 - tick * 7.4)], 1)


def _caption_thermometer(scene: Scene, rng: Random) -> str:
    degrees = _TEMPERATURES[int(str(scene["level"]))]
    where = f"on the {scene['side']} of {scene['paper']} paper"
    return rng.choice(
        (
            f"a {scene['frame']} thermometer with {scene['liquid']} liquid {where} shows {degrees}",
            f"{where} , {scene['liquid']} liquid stands at {degrees} in a {scene['frame']} thermometer",
        )
    )


def _ask_thermometer(scene: Scene, rng: Random) -> Asked:
    right = _TEMPERATURES[int(str(scene["level"]))]
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"What temperature does {who}'s thermometer show?",
            f"{who} reads this thermometer. What does it say?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=others(rng, _TEMPERATURES, right, 2),
        solution=f"The top of the liquid stands at {right}.",
    )


THERMOMETER = Skill(
    title="Read a thermometer",
    subject="natural science",
    topic="physics",
    category="Thermal energy",
    grade=3,
    lecture="The top of the liquid tells the temperature; each mark is 10 degrees.",
    sample=_sample_thermometer,
    ask=_ask_thermometer,
    combinations=lambda scene: (f"{scene['liquid']} {scene['frame']}",),
    caption=_caption_thermometer,
    draw=_draw_thermometer,
)


def _sample_particles(rng: Random) -> Scene:
    answer = rng.choice(("A", "B", "same"))
    fast, slow = "fast", "slow"
    both = rng.choice((fast, slow))
    a, b = {"A": (fast, slow), "B": (slow, fast), "same": (both, both)}[answer]
    first, second = two(rng, _COLOURS)
    return {"a": a, "b": b, "a_colour": first, "b_colour": second, "paper": rng.choice(_PAPERS)}


def _draw_particles(canvas: Canvas, scene: Scene, rng: Random) -> None:
    for k, label in enumerate("ab"):
        left = 4 + 48 * k
        canvas.rectangle((left, 12, left + 44, 82), WHITE, edge=2)
        canvas.letter(label.upper(), (left + 18, 86), 10)
        tail = 22 if scene[label] == "fast" else 7
        for row in range(4):
            x = left + 29 + jitter(rng, 4)
            y = 22 + row * 16.5 + jitter(rng, 1.5)
            canvas.line([(x - tail, y), (x, y)], 3, INK)
            canvas.disc((x, y), 5.5, str(scene[f"{label}_colour"]))


def _caption_particles(scene: Scene, rng: Random) -> str:
    parts = [f"{scene['a_colour']} particles in box A are {scene['a']}"]
    parts.append(f"{scene['b_colour']} particles in box B are {scene['b']}")
    rng.shuffle(parts)
    return f"two boxes of gas on {scene['paper']} paper ; {parts[0]} and {parts[1]}"


def _ask_particles(scene: Scene, rng: Random) -> Asked:
    first, second = (f"the {scene[f'{box}_colour']} gas" for box in "ab")
    options = (first, second, "both are the same")
    right = options[2] if scene["a"] == scene["b"] else options[0] if scene["a"] == "fast" else options[1]
    who = rng.choice(NAMES)
    question = rng.choice(
        (
            f"Which of {who}'s gases has the higher temperature?",
            f"{who} compares two gases. In which one do the particles move faster?",
        )
    )
    return Asked(
        question=question,
        right=right,
        wrong=tuple(option for option in options if option != right),
        solution=f"Faster particles mean a higher temperature. A is {scene['a']} and B is {scene['b']}.",
    )


PARTICLES = Skill(
    title="Compare temperatures by particle speed",
    subject="natural science",
    topic="physics",
    category="Particle motion and energy",
    grade=8,
    lecture="The faster the particles of a gas move, the higher its temperature.",
    sample=_sample_particles,
    ask=_ask_particles,
    combinations=lambda scene: (f"{scene['a_colour']} {scene['b_colour']}",),
    caption=_caption_particles,
    draw=_draw_particles,
)
