"""The verb and the nouns of a question, found without a parser.

A question about an image has few forms, so its words are sorted by a list of 300 verbs with their forms, a list of
adjectives, the closed classes of English, and their order. The verb is the one the question turns on: what follows the
subject after *do*, *can*, *might*; the *-ing* form after *is*; what follows *who* or *what*; otherwise *be* or *have*.
The nouns are the last words of noun phrases.

What this measures is a picture of what is asked, to compare one run with another. A verb that is in no list is not
found, and a noun may be taken for a verb and the other way round; on 60 annotated questions of the tests,
`tests/llava_core/instructions/test_question_words.py` says how often it is right. Left out: anything but English.
"""

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*(?=['\u2019]s\b)?|['\u2019]s\b|[.,?!;:]|[0-9]+")

_BE = frozenset("is are was were be been being am".split())
_HAVE = frozenset("has have had having".split())
_AUXILIARY = frozenset("do does did can could will would shall should may might must".split())
_WH = frozenset("what which who whom whose where when why how".split())
_OPENS_NOUN = frozenset(
    "a an the this that these those his her its their our your my any some no each every another both all "
    "two three four five six seven eight nine ten 's \u2019s".split()
)
_PREPOSITION = frozenset(
    "of in on at by with from for about into onto over under above below behind beside besides between among near "
    "next across along around through during regarding before after against inside outside towards toward within without "
    "like as off up down out front than per to".split()
)
_OTHER = frozenset(
    "and or but if not there here it they he she we you i them him us me one ones most more very too also just "
    "so such currently together away nearby likely probably possibly typically usually someone somebody something "
    "anyone anything everyone nobody ever still already while because even else themselves himself herself itself "
    "only instead apart closely clearly mainly mostly much many kind type sort kinds types sorts".split()
)
_NOT_PARTICIPLE = frozenset(
    "building buildings clothing ceiling evening morning thing things painting paintings railing wedding string king "
    "ring wing spring parking lighting setting meeting crossing something anything everything nothing during "
    "interesting surprising".split()
)
_KIND = frozenset("kind type sort color colour number part piece side group pair".split())
"""Nouns that hold another one after *of*, which is then counted as well."""


def root_verb(question: str) -> str | None:
    """Return the base form of the verb that a question turns on; None where none is found.

    Examples
    --------
    >>> root_verb("What is the man doing?"), root_verb("How might the dog have got there?")
    ('do', 'get')
    >>> root_verb("What colour is the bus?"), root_verb("Describe the scene.")
    ('be', 'describe')
    """
    words = _words(question)
    if not words:
        return None
    verbs = verb_forms()
    if words[0] in verbs and verbs[words[0]] == words[0] and words[0] not in _AUXILIARY | _HAVE:
        return words[0]
    start = next((place for place, word in enumerate(words) if word in _AUXILIARY | _BE | _HAVE), None)
    early = next((at for at in _verbs(words, 1, len(words) if start is None else start) if _is_finite(words, at)), None)
    if early is not None and words[0] in ("what", "who", "which"):
        return verbs[words[early]]
    if start is None:
        return None if early is None else verbs[words[early]]
    if words[start] in _AUXILIARY:
        return _after_auxiliary(words, start)
    for at in _verbs(words, start + 1, len(words)):
        if words[at] in _all_participles() and not _in_noun(words, at):
            return verbs[words[at]]
        if words[at - 1] in _PREPOSITION and words[at - 1] != "to":
            break
    return "be" if words[start] in _BE else "have"


def nouns(question: str) -> list[str]:
    """Return the last words of a question's noun phrases, in the singular.

    Examples
    --------
    >>> nouns("How many dogs are playing on the sandy beach?")
    ['dog', 'beach']
    """
    words = _words(question)
    verb = _verb_place(words)
    found: list[str] = []
    place = 0
    while place < len(words):
        if not _starts_noun(words, place) and (place != verb or words[place] == "have"):
            place += 1
            continue
        end = place + 1
        while end < len(words) and end != verb and _is_content(words[end]):
            end += 1
        phrase = words[place + 1 : end]
        while phrase and _is_no_head(phrase):
            phrase.pop()
        if phrase:
            found.append(singular(phrase[-1]))
        place = max(end, place + 1)
    return found


def singular(noun: str) -> str:
    """Return the singular of a noun, by rule and a few exceptions.

    Examples
    --------
    >>> [singular(noun) for noun in ("buses", "berries", "men", "glasses", "skis", "grass")]
    ['bus', 'berry', 'man', 'glass', 'ski', 'grass']
    """
    irregular = {
        "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth",
        "mice": "mouse", "geese": "goose", "knives": "knife", "shelves": "shelf", "leaves": "leaf", "loaves": "loaf",
        "wolves": "wolf", "wives": "wife", "lives": "life", "buses": "bus", "series": "series", "species": "species",
        "shoes": "shoe", "canoes": "canoe", "movies": "movie", "cookies": "cookie", "ties": "tie", "pies": "pie",
        "skis": "ski", "clothes": "clothes",
    }  # fmt: skip
    if noun in irregular:
        return irregular[noun]
    if noun.endswith(("ss", "us", "is")) or not noun.endswith("s") or len(noun) < 4:
        return noun
    if noun.endswith("ies"):
        return noun[:-3] + "y"
    if noun.endswith(("sses", "shes", "ches", "xes", "zes", "oes")):
        return noun[:-2]
    return noun[:-1]


@cache
def verb_forms() -> dict[str, str]:
    """Return the base form of every form of every listed verb."""
    forms: dict[str, str] = {}
    for line in _listed("verbs.txt"):
        base, *irregular = line.split()
        past = irregular or [_with_ed(base)]
        for form in (base, _with_s(base), _with_ing(base), *past):
            # A form that is the base of another verb ("found", "lay") stays with the one that has it as its base.
            forms.setdefault(form, base)
    for line in _listed("verbs.txt"):
        forms[line.split()[0]] = line.split()[0]
    return forms


@cache
def adjectives() -> frozenset[str]:
    """Return the listed words that describe."""
    return frozenset(_listed("adjectives.txt"))


@cache
def _participles() -> frozenset[str]:
    lines = [line.split() for line in _listed("verbs.txt")]
    return frozenset(form for words in lines for form in (words[1:] or [_with_ed(words[0])]))


@cache
def _all_participles() -> frozenset[str]:
    return _participles() | {form for form in verb_forms() if form.endswith("ing")}


def _listed(name: str) -> Iterator[str]:
    text = (files("llava_core.instructions") / "lexicon" / name).read_text(encoding="utf-8")
    return (line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))


def _words(question: str) -> list[str]:
    return [word for word in _WORD.findall(question.lower()) if word not in ".?!"]


def _verbs(words: list[str], start: int, end: int) -> Iterator[int]:
    """Yield the places of words that may be verbs."""
    forms = verb_forms()
    for place in range(start, end):
        word = words[place]
        if word in forms and word not in _AUXILIARY | _HAVE | _BE | _PREPOSITION | _NOT_PARTICIPLE:
            yield place
        elif word in ("do", "have") and place > 0 and not (set(words[:place]) <= _WH):
            yield place


def _in_noun(words: list[str], place: int) -> bool:
    """Return whether a word that may be a verb stands where a noun phrase begins, or describes a noun."""
    before = words[place - 1] if place else ""
    return before in _OPENS_NOUN or before in ("many", "what", "which") or before in adjectives()


def _after_auxiliary(words: list[str], start: int) -> str | None:
    """Return the verb after *do*, *can*, *might* and the subject; *be* where it comes first, or what follows it."""
    verbs = verb_forms()
    place = _verb_place(words)
    be = next((at for at in range(start + 1, len(words)) if words[at] in _BE), None)
    if be is not None and (place is None or be < place):
        after = next((at for at in _verbs(words, be + 1, min(be + 3, len(words)))), None)
        if after is not None and not _in_noun(words, after) and words[after] in _all_participles():
            return verbs[words[after]]
        return "be"
    if place is None:
        return "have" if "have" in words[start:] else None
    if words[place] == "have":
        after = next(_verbs(words, place + 1, min(place + 3, len(words))), None)
        if after is not None and words[after] in _participles():
            return verbs[words[after]]
    return verbs[words[place]]


def _is_finite(words: list[str], place: int) -> bool:
    """Return whether a word before any auxiliary is the verb: *what makes the ...*, not *what benefits ...*."""
    if place == 1:
        return place + 1 < len(words) and words[place + 1] in _OPENS_NOUN
    return not _in_noun(words, place)


def _verb_place(words: list[str]) -> int | None:
    """Return where the verb stands that ends a noun phrase after *do*, *can*, *might*."""
    start = next((place for place, word in enumerate(words) if word in _AUXILIARY), None)
    if start is None:
        return None
    # "What could make ...": the subject stands before; "Could the man ...": after.
    first = start + 1 if start > 1 else start + 2
    return next((at for at in _verbs(words, first, len(words)) if not _in_noun(words, at)), None)


def _starts_noun(words: list[str], place: int) -> bool:
    word = words[place]
    if word == "to" and place + 1 < len(words) and verb_forms().get(words[place + 1]) == words[place + 1]:
        return False
    if word in _OPENS_NOUN or word.isdigit() or word in _PREPOSITION or _is_participle(word):
        return True
    if word in ("what", "which", "whose", "many", "much", "there"):
        return place + 1 < len(words) and _is_content(words[place + 1]) and not _is_participle(words[place + 1])
    return False


def _is_content(word: str) -> bool:
    closed = _BE | _HAVE | _AUXILIARY | _WH | _OPENS_NOUN | _PREPOSITION | (_OTHER - _KIND)
    return word.isalpha() or "-" in word if word not in closed and word not in ",;:" else False


def _is_no_head(phrase: list[str]) -> bool:
    """Return whether the last word of a phrase describes the one before it."""
    word = phrase[-1]
    participle = word in _participles() and verb_forms()[word] != word and len(phrase) > 1
    return word in adjectives() or word.endswith("ly") or _is_participle(word) or participle


def _is_participle(word: str) -> bool:
    return word in verb_forms() and word.endswith("ing") and word not in _NOT_PARTICIPLE


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
    """Double the last letter of a short verb such as *run*; of long ones, those that are stressed at the end."""
    short = re.fullmatch(r"[^aeiou]*(qu)?[aeiou][^aeiouwxy]", base)
    return base + base[-1] if short or base in ("begin", "forget", "prefer", "infer", "control") else base
