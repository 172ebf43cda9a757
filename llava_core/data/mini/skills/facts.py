"""Text skills whose answer is a fact that must be known: capitals, animals, states of matter, lengths.

Countries and capitals are invented, so that no reader or model knows them from elsewhere. Capitals of
held-out countries occur beside each other only: a city never seen as an answer would give itself away.
"""

from collections.abc import Callable, Mapping
from random import Random

from llava_core.data.mini.lexicon import NAMES
from llava_core.data.mini.reserve import is_reserved
from llava_core.data.mini.skill import Asked, Scene, Skill, others

_SYLLABLES = (
    "bor",
    "dan",
    "fel",
    "gar",
    "hul",
    "kor",
    "lum",
    "mar",
    "nel",
    "pol",
    "rin",
    "sol",
    "tor",
    "vel",
    "zan",
)
_LANDS = tuple(f"{first.title()}{last}" for first in _SYLLABLES for last in ("land", "ia", "mark", "stan"))
_CITIES = tuple(
    f"{second.title()}{last}" for second in reversed(_SYLLABLES) for last in ("burg", "ton", "haven", "dorf")
)
# Shuffled, so that no ending of a country's name tells the ending of its capital's.
CAPITALS = dict(zip(_LANDS, Random(1).sample(_CITIES, len(_CITIES)), strict=True))
"""Invented country to its capital."""

ANIMALS = {
    "mammal": (
        "wolf",
        "horse",
        "whale",
        "bat",
        "mouse",
        "lion",
        "goat",
        "seal",
        "otter",
        "camel",
        "hare",
        "moose",
    ),
    "bird": (
        "owl",
        "eagle",
        "crow",
        "duck",
        "swan",
        "gull",
        "stork",
        "heron",
        "robin",
        "finch",
        "goose",
        "hawk",
    ),
    "fish": (
        "salmon",
        "trout",
        "shark",
        "carp",
        "tuna",
        "pike",
        "cod",
        "eel",
        "perch",
        "ray",
        "herring",
        "bass",
    ),
    "reptile": ("gecko", "viper", "turtle", "iguana", "cobra", "python", "lizard", "skink", "caiman", "boa"),
    "insect": (
        "ant",
        "bee",
        "wasp",
        "moth",
        "beetle",
        "fly",
        "cricket",
        "termite",
        "flea",
        "locust",
        "mantis",
    ),
}

STATES = {
    "solid": (
        "brick",
        "coin",
        "spoon",
        "stone",
        "plate",
        "nail",
        "brush",
        "ring",
        "key",
        "candle",
        "pillow",
        "desk",
    ),
    "liquid": (
        "milk",
        "rain",
        "juice",
        "oil",
        "tea",
        "vinegar",
        "syrup",
        "ink",
        "paint",
        "petrol",
        "honey",
        "soup",
    ),
    "gas": ("steam", "helium", "air", "oxygen", "neon", "methane", "argon", "nitrogen", "hydrogen", "ozone"),
}

LENGTHS = {
    "millimeters": ("ant", "seed", "pin", "grain of rice", "ladybird", "crumb", "bead", "sequin"),
    "centimeters": ("pencil", "spoon", "book", "shoe", "phone", "leaf", "cup", "candle", "brush", "banana"),
    "meters": ("bus", "tree", "house", "boat", "truck", "pool", "bridge", "garden", "train car", "flagpole"),
    "kilometers": ("river", "road", "railway", "coast", "marathon", "border", "canal", "motorway"),
}

Templates = tuple[str, ...]


def _by_class(
    classes: Mapping[str, tuple[str, ...]], templates: Templates, solution: str, n_wrong: int
) -> tuple[Callable[[Random], Scene], Callable[[Scene, Random], Asked]]:
    """Return how to sample and ask about things that belong to classes."""
    kinds = tuple(classes)

    def sample(rng: Random) -> Scene:
        kind = rng.choice(kinds)
        right = rng.choice(classes[kind])
        return {"thing": right, "kind": kind, "who": rng.choice(NAMES), "form": rng.randrange(len(templates))}

    def ask(scene: Scene, rng: Random) -> Asked:
        kind, thing = str(scene["kind"]), str(scene["thing"])
        return Asked(
            question=templates[int(str(scene["form"]))].format(thing=thing, who=scene["who"]),
            right=kind,
            wrong=others(rng, kinds, kind, n_wrong),
            solution=solution.format(thing=thing, kind=kind),
        )

    return sample, ask


def _is_held_out(land: str) -> bool:
    return is_reserved("capitals", (land,), is_fact=True)


def _sample_capital(rng: Random) -> Scene:
    return {"land": rng.choice(_LANDS), "who": rng.choice(NAMES), "form": rng.randrange(2)}


def _ask_capital(scene: Scene, rng: Random) -> Asked:
    land = str(scene["land"])
    cities = tuple(city for other, city in CAPITALS.items() if _is_held_out(other) == _is_held_out(land))
    question = (
        f"{scene['who']} asks: what is the capital of {land}?",
        f"{scene['who']} visits the capital of {land}. Which city is it?",
    )[int(str(scene["form"]))]
    return Asked(
        question=question,
        right=CAPITALS[land],
        wrong=others(rng, cities, CAPITALS[land], 3),
        solution=f"The capital of {land} is {CAPITALS[land]}.",
    )


CAPITAL = Skill(
    title="Identify the capital of a country",
    subject="social science",
    topic="geography",
    category="Capitals",
    grade=5,
    lecture="Every country of the made-up atlas has one capital.",
    sample=_sample_capital,
    ask=_ask_capital,
    combinations=lambda scene: (str(scene["land"]),),
    is_fact=True,
)

_sample_animal, _ask_animal = _by_class(
    ANIMALS,
    (
        "What kind of animal is the {thing} in {who}'s book?",
        "{who} reads about a {thing}. What kind of animal is it?",
        "{who} saw a {thing}. To which group does it belong?",
    ),
    "The {thing} is a {kind}.",
    4,
)
ANIMAL_KIND = Skill(
    title="Classify animals",
    subject="natural science",
    topic="biology",
    category="Classification",
    grade=3,
    lecture="Animals are put into groups by the traits they share.",
    sample=_sample_animal,
    ask=_ask_animal,
    combinations=lambda scene: (str(scene["thing"]),),
    is_fact=True,
)

_sample_state, _ask_state = _by_class(
    STATES,
    (
        "Is {who}'s {thing} a solid, a liquid or a gas?",
        "{who} studies {thing}. Which state of matter is it?",
        "What state of matter does {who} find in {thing}?",
        "{who} looks at {thing}. Solid, liquid or gas?",
        "At room temperature, which state is {thing} in, {who}?",
    ),
    "At room temperature {thing} is a {kind}.",
    2,
)
STATE_OF_MATTER = Skill(
    title="Identify states of matter",
    subject="natural science",
    topic="chemistry",
    category="States of matter",
    grade=4,
    lecture="Solids keep their shape, liquids take the shape of their container, gases fill it.",
    sample=_sample_state,
    ask=_ask_state,
    combinations=lambda scene: (str(scene["thing"]),),
    is_fact=True,
)

_sample_length, _ask_length = _by_class(
    LENGTHS,
    (
        "{who} measures a {thing}. Which unit fits best?",
        "In which unit would {who} give the length of a {thing}?",
        "How long is a {thing}? Which unit should {who} take?",
        "{who} writes down the length of a {thing}. Which unit?",
        "Best unit for the length of a {thing}, {who}?",
    ),
    "The length of a {thing} is best given in {kind}.",
    3,
)
LENGTH_UNIT = Skill(
    title="Choose metric units of length",
    subject="natural science",
    topic="units-and-measurement",
    category="Units and measurement",
    grade=4,
    lecture="Small things are measured in small units.",
    sample=_sample_length,
    ask=_ask_length,
    combinations=lambda scene: (str(scene["thing"]),),
    is_fact=True,
)
