"""Text skills that a rule or a context answers: passages, rhymes, sentences, order.

A scene is what is told; what is asked about it, and by whom, is drawn anew for each question.
"""

from random import Random

from llava_core.data.mini.lexicon import COLOURS, NAMES
from llava_core.data.mini.skill import Asked, Scene, Skill, others

_THINGS = ("apples", "books", "shells", "stones", "coins", "cards", "eggs", "keys", "stamps", "rings")


def _sample_passage(rng: Random) -> Scene:
    first, second, third = rng.sample(NAMES, 3)
    return {
        "people": [first, second, third],
        "counts": rng.sample(range(2, 10), 3),
        "thing": rng.choice(_THINGS),
    }


def _ask_passage(scene: Scene, rng: Random) -> Asked:
    people, counts = scene["people"], scene["counts"]
    assert isinstance(people, list)
    assert isinstance(counts, list)
    pairs = sorted((int(str(count)), str(person)) for count, person in zip(counts, people, strict=True))
    end, right = rng.choice((("most", pairs[-1][1]), ("fewest", pairs[0][1])))
    facts = [f"{person} has {count} {scene['thing']}." for person, count in zip(people, counts, strict=True)]
    return Asked(
        question=f"Who has the {end} {scene['thing']}?",
        right=right,
        wrong=tuple(str(person) for person in people if person != right),
        solution=f"{right} has the {end}: {' '.join(facts)}",
        hint=" ".join(facts),
    )


PASSAGE = Skill(
    title="Compare amounts in a passage",
    subject="language science",
    topic="reading-comprehension",
    category="Reading",
    grade=3,
    lecture="Find each amount in the text, then compare.",
    sample=_sample_passage,
    ask=_ask_passage,
)


def _sample_colour_passage(rng: Random) -> Scene:
    return {"people": rng.sample(NAMES, 3), "colours": rng.sample(tuple(COLOURS), 3)}


def _ask_colour_passage(scene: Scene, rng: Random) -> Asked:
    people, colours = scene["people"], scene["colours"]
    assert isinstance(people, list)
    assert isinstance(colours, list)
    asked = rng.randrange(3)
    facts = " ".join(f"{person} wears {colour}." for person, colour in zip(people, colours, strict=True))
    return Asked(
        question=f"Which colour does {people[asked]} wear?",
        right=str(colours[asked]),
        wrong=tuple(str(colour) for k, colour in enumerate(colours) if k != asked),
        solution=f"The text says that {people[asked]} wears {colours[asked]}.",
        hint=facts,
    )


WHO_WEARS = Skill(
    title="Find a detail in a passage",
    subject="language science",
    topic="reading-comprehension",
    category="Reading",
    grade=2,
    lecture="The text names each person together with one detail.",
    sample=_sample_colour_passage,
    ask=_ask_colour_passage,
)


_RHYMES = {
    "at": ("cat", "hat", "bat", "mat", "rat", "flat"),
    "ing": ("king", "ring", "sing", "wing", "thing", "spring"),
    "ight": ("light", "night", "right", "fight", "sight", "flight"),
    "ake": ("cake", "lake", "make", "snake", "rake", "wake"),
    "ock": ("rock", "sock", "clock", "lock", "block", "dock"),
    "ell": ("bell", "shell", "tell", "well", "spell", "cell"),
    "ump": ("jump", "lump", "pump", "bump", "stump", "dump"),
    "ain": ("rain", "train", "chain", "brain", "grain", "plain"),
}


def _sample_rhyme(rng: Random) -> Scene:
    ending = rng.choice(tuple(_RHYMES))
    word, right = rng.sample(_RHYMES[ending], 2)
    wrong = [rng.choice(_RHYMES[other]) for other in rng.sample([e for e in _RHYMES if e != ending], 2)]
    return {"word": word, "right": right, "wrong": sorted(wrong)}


def _ask_rhyme(scene: Scene, rng: Random) -> Asked:
    wrong = scene["wrong"]
    assert isinstance(wrong, list)
    return Asked(
        question=f"{rng.choice(NAMES)} looks for a rhyme. Which word rhymes with {scene['word']}?",
        right=str(scene["right"]),
        wrong=tuple(str(word) for word in wrong),
        solution=f"{scene['word']} and {scene['right']} end in the same sound.",
    )


RHYME = Skill(
    title="Choose the rhyming word",
    subject="language science",
    topic="phonological-awareness",
    category="Rhyming",
    grade=2,
    lecture="Words rhyme if they end in the same sound.",
    sample=_sample_rhyme,
    ask=_ask_rhyme,
)


_SENTENCES = {
    "a question": ("Where is {who}'s {thing}?", "Did {who} see the {thing}?", "Can {who} lift the {thing}?"),
    "a statement": ("{who} found the {thing}.", "The {thing} of {who} is old.", "{who} likes the {thing}."),
    "a command": ("Bring {who} the {thing}!", "Hide the {thing} from {who}!", "Give the {thing} to {who}!"),
}
_NOUNS = ("book", "drum", "kite", "lamp", "boat", "chair", "clock", "shell", "cake", "bell", "ring", "coat")


def _sample_sentence(rng: Random) -> Scene:
    return {
        "kind": rng.choice(tuple(_SENTENCES)),
        "form": rng.randrange(3),
        "who": rng.choice(NAMES),
        "thing": rng.choice(_NOUNS),
    }


def _ask_sentence(scene: Scene, rng: Random) -> Asked:
    kind = str(scene["kind"])
    sentence = _SENTENCES[kind][int(str(scene["form"]))].format(who=scene["who"], thing=scene["thing"])
    return Asked(
        question=f"{rng.choice(NAMES)} says: {sentence} What kind of sentence is this?",
        right=kind,
        wrong=tuple(other for other in _SENTENCES if other != kind),
        solution=f"By its form and its mark at the end this is {kind}.",
    )


SENTENCE_KIND = Skill(
    title="Identify kinds of sentences",
    subject="language science",
    topic="grammar",
    category="Sentences",
    grade=4,
    lecture="A question asks, a statement tells, a command orders.",
    sample=_sample_sentence,
    ask=_ask_sentence,
)


def _sample_older(rng: Random) -> Scene:
    return {"people": rng.sample(NAMES, 3)}


def _ask_older(scene: Scene, rng: Random) -> Asked:
    people = scene["people"]
    assert isinstance(people, list)
    old, middle, young = (str(person) for person in people)
    facts = [f"{old} is older than {middle}.", f"{middle} is older than {young}."]
    rng.shuffle(facts)
    end, right = rng.choice((("oldest", old), ("youngest", young)))
    return Asked(
        question=f"Who is the {end}?",
        right=right,
        wrong=tuple(person for person in (old, middle, young) if person != right),
        solution=f"From the oldest to the youngest: {old}, {middle}, {young}.",
        hint=" ".join(facts),
    )


WHO_IS_OLDER = Skill(
    title="Draw a conclusion from two statements",
    subject="social science",
    topic="civics",
    category="Reasoning",
    grade=6,
    lecture="If one is older than a second, and the second older than a third, the first is oldest.",
    sample=_sample_older,
    ask=_ask_older,
)


_ORDERED = tuple(sorted({*_NOUNS, *(word for words in _RHYMES.values() for word in words)}))


def _sample_alphabet(rng: Random) -> Scene:
    words = rng.sample(_ORDERED, 3)
    while len({word[0] for word in words}) < 3:
        words = rng.sample(_ORDERED, 3)
    return {"words": sorted(words)}


def _ask_alphabet(scene: Scene, rng: Random) -> Asked:
    words = scene["words"]
    assert isinstance(words, list)
    ordered = [str(word) for word in words]
    end, right = rng.choice((("first", ordered[0]), ("last", ordered[-1])))
    return Asked(
        question=f"{rng.choice(NAMES)} sorts words. Which comes {end} in the alphabet?",
        right=right,
        wrong=tuple(others(rng, tuple(ordered), right, 2)),
        solution=f"In alphabetical order: {', '.join(ordered)}.",
    )


ALPHABET = Skill(
    title="Put words in alphabetical order",
    subject="language science",
    topic="reference-skills",
    category="Dictionary",
    grade=2,
    lecture="Words are ordered by their first letter.",
    sample=_sample_alphabet,
    ask=_ask_alphabet,
)
