"""Words of English that questions are made of: verbs in all their forms, singulars, closed classes.

The words stand in files of this package: some 400 verbs, adjectives, and the words of the closed classes.
Left out: all other verbs, and what only a parser can tell.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_IRREGULAR_NOUNS = {
    "buses": "bus",
    "canoes": "canoe",
    "children": "child",
    "clothes": "clothes",
    "cookies": "cookie",
    "feet": "foot",
    "geese": "goose",
    "knives": "knife",
    "leaves": "leaf",
    "lives": "life",
    "loaves": "loaf",
    "men": "man",
    "mice": "mouse",
    "movies": "movie",
    "people": "person",
    "pies": "pie",
    "series": "series",
    "shelves": "shelf",
    "shoes": "shoe",
    "skis": "ski",
    "species": "species",
    "teeth": "tooth",
    "ties": "tie",
    "wives": "wife",
    "wolves": "wolf",
    "women": "woman",
}
_STRESSED_AT_END = ("begin", "control", "forget", "infer", "prefer")


@cache
def verb_forms() -> dict[str, str]:
    """Return the base form of every form of every listed verb."""
    listed = [line.split() for line in _lines("verbs.txt")]
    forms: dict[str, str] = {}
    for base, *irregular in listed:
        for form in (_with_s(base), _with_ing(base), *(irregular or [_with_ed(base)])):
            forms.setdefault(form, base)
    # A form that is also the base of another verb ("found", "lay") is that one's.
    return forms | {base: base for base, *_ in listed}


@cache
def past_forms() -> frozenset[str]:
    """Return past tenses and past participles of the listed verbs."""
    listed = [line.split() for line in _lines("verbs.txt")]
    return frozenset(form for base, *irregular in listed for form in (irregular or [_with_ed(base)]))


@cache
def adjectives() -> frozenset[str]:
    """Return the listed words that describe."""
    return frozenset(_lines("adjectives.txt"))


@cache
def closed_class(*names: str) -> frozenset[str]:
    """Return the words of some classes: ``be``, ``have``, ``auxiliary``, ``wh``, ``determiner`` and so on."""
    lines = [line.partition(":") for line in _lines("function_words.txt")]
    known = {name for name, _, _ in lines}
    assert known.issuperset(names)
    return frozenset(word for name, _, words in lines if name in names for word in words.split())


def singular(noun: str) -> str:
    """Return the singular of a noun, by rule and a few exceptions.

    Examples
    --------
    >>> [singular(noun) for noun in ("buses", "berries", "men", "glasses", "skis", "grass")]
    ['bus', 'berry', 'man', 'glass', 'ski', 'grass']
    """
    if noun in _IRREGULAR_NOUNS:
        return _IRREGULAR_NOUNS[noun]
    if noun.endswith(("ss", "us", "is")) or not noun.endswith("s") or len(noun) < 4:
        return noun
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if noun.endswith(("sses", "shes", "ches", "xes", "zes", "oes")):
        return noun[:-2]
    return noun[:-1]


def _lines(name: str) -> Iterator[str]:
    text = (files("llava_core.instructions") / "lexicon" / name).read_text(encoding="utf-8")
    return (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _with_s(base: str) -> str:
    if base.endswith(("s", "sh", "ch", "x", "z", "o")):
        return base + "es"
    return base[:-1] + "ies" if _ends_in_consonant_y(base) else base + "s"


def _with_ing(base: str) -> str:
    if base.endswith("ie"):
        return base[:-2] + "ying"
    if base.endswith("e") and not base.endswith("ee"):
        return base[:-1] + "ing"
    return _doubled(base) + "ing"


def _with_ed(base: str) -> str:
    if base.endswith("e"):
        return base + "d"
    return base[:-1] + "ied" if _ends_in_consonant_y(base) else _doubled(base) + "ed"


def _ends_in_consonant_y(base: str) -> bool:
    return len(base) > 1 and base.endswith("y") and base[-2] not in "aeiou"


def _doubled(base: str) -> str:
    """Double the last letter of a short verb such as *run*, and of long ones stressed at the end."""
    short = re.fullmatch(r"[^aeiou]*(qu)?[aeiou][^aeiouwxy]", base)
    return base + base[-1] if short or base in _STRESSED_AT_END else base
