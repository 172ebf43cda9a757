"""The verb and the nouns of a question, found without a parser.

A question about an image has few forms, so its words are told apart by lists (`english`) and by their order.
The verb is the one that the question turns on: what follows the subject after *do*, *can*, *might*; the
participle after *is*; what follows *who* or *what*; otherwise *be* or *have*. The nouns are the last words
of noun phrases.

This gives a picture of what is asked, to compare one run with another, and no more: a verb in no list is not
found, and a noun may be taken for a verb or the other way round. How often it is right on annotated
questions is in `tests/llava_core/instructions/test_question_words.py`. Left out: languages other than
English.
"""

import re
from collections.abc import Iterator

from llava_core.instructions.english import adjectives, closed_class, past_forms, singular, verb_forms

_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*(?='s\b)?|'s\b|[,;:]|[0-9]+")


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
    if verbs.get(words[0]) == words[0] and words[0] not in closed_class("auxiliary", "have"):
        return words[0]
    finite = _finite_place(words)
    if finite is not None:
        return verbs[words[finite]]
    start = _helping_place(words)
    if start == len(words):
        return None
    if words[start] in closed_class("auxiliary"):
        return _after_auxiliary(words, start)
    for at in _verbs(words, start + 1, len(words)):
        if _is_participle(words[at]) and not _in_noun(words, at):
            return verbs[words[at]]
        if words[at - 1] in closed_class("preposition") and words[at - 1] != "to":
            break
    return "be" if words[start] in closed_class("be") else "have"


def nouns(question: str) -> list[str]:
    """Return the last words of a question's noun phrases, in the singular.

    Examples
    --------
    >>> nouns("How many dogs are playing on the sandy beach?")
    ['dog', 'beach']
    >>> nouns("How many people stand near the bus?")
    ['person', 'bus']
    """
    words = _words(question)
    finite = _finite_place(words)
    verb = _verb_place(words) if finite is None else finite
    found: list[str] = []
    place = 0
    while place < len(words):
        if not _opens_noun(words, place, verb):
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


def _words(question: str) -> list[str]:
    return _WORD.findall(question.lower().replace("\u2019", "'"))


def _helping_place(words: list[str]) -> int:
    """Return where *do*, *can*, *is* or *have* stands; the number of words where none does."""
    helping = closed_class("auxiliary", "be", "have")
    return next((place for place, word in enumerate(words) if word in helping), len(words))


def _finite_place(words: list[str]) -> int | None:
    """Return where a verb stands that needs no other: *who wears*, *how many people sit*."""
    start = _helping_place(words)
    if start < len(words) and words[0] not in ("what", "who", "which"):
        return None
    return next((at for at in _verbs(words, 1, start) if _is_finite(words, at)), None)


def _verbs(words: list[str], start: int, end: int) -> Iterator[int]:
    """Yield the places of words that may be the verb."""
    never = closed_class("auxiliary", "have", "be", "preposition", "noun-in-ing")
    for place in range(start, end):
        word = words[place]
        # "What might it do", "What might it have" against "How do ..." and "What has ...".
        full = word in ("do", "have") and not closed_class("wh").issuperset(words[:place])
        if full or (word in verb_forms() and word not in never):
            yield place


def _verb_place(words: list[str]) -> int | None:
    """Return where the verb stands after *do*, *can*, *might* and the subject."""
    start = next((place for place, word in enumerate(words) if word in closed_class("auxiliary")), None)
    if start is None:
        return None
    # "What could make ...": the subject stands before; "Could the man ...": after.
    first = start + 1 if start > 1 or words[0] in ("what", "who") else start + 2
    return next((at for at in _verbs(words, first, len(words)) if not _in_noun(words, at)), None)


def _after_auxiliary(words: list[str], start: int) -> str | None:
    """Return the verb after *do*, *can*, *might*; *be* where that comes first, or the participle after it."""
    verbs = verb_forms()
    place = _verb_place(words)
    be = next((at for at in range(start + 1, len(words)) if words[at] in closed_class("be")), None)
    if be is not None and (place is None or be < place):
        after = next(_verbs(words, be + 1, min(be + 3, len(words))), None)
        if after is not None and _is_participle(words[after]) and not _in_noun(words, after):
            return verbs[words[after]]
        return "be"
    if place is None:
        return "have" if "have" in words[start:] else None
    if words[place] == "have":
        after = next(_verbs(words, place + 1, min(place + 3, len(words))), None)
        if after is not None and words[after] in past_forms():
            return verbs[words[after]]
    return verbs[words[place]]


def _is_finite(words: list[str], place: int) -> bool:
    """Return whether a word before any auxiliary is the verb: *what makes the*, not *what benefits*."""
    if place == 1:
        return place + 1 < len(words) and words[place + 1] in closed_class("determiner")
    return not _in_noun(words, place)


def _in_noun(words: list[str], place: int) -> bool:
    """Return whether a word that may be a verb stands where a noun is due."""
    before = words[place - 1] if place else ""
    return before in closed_class("determiner") | adjectives() | {"many", "what", "which"}


def _opens_noun(words: list[str], place: int, verb: int | None) -> bool:
    word, after = words[place], words[place + 1] if place + 1 < len(words) else ""
    if word == "to" and verb_forms().get(after) == after:
        return False
    if word in ("what", "which", "whose", "many", "much", "there"):
        return _is_content(after) and not _is_ing(after)
    if word in closed_class("determiner", "preposition") or word.isdigit() or _is_ing(word):
        return True
    return place == verb and word != "have"


def _is_content(word: str) -> bool:
    closed = closed_class("be", "have", "auxiliary", "wh", "determiner", "preposition", "other")
    return word not in closed and word.replace("-", "").isalpha()


def _is_no_head(phrase: list[str]) -> bool:
    """Return whether the last word of a phrase only describes what stands before it."""
    word = phrase[-1]
    past = word in past_forms() and verb_forms()[word] != word and len(phrase) > 1
    return past or word in adjectives() or word.endswith("ly") or _is_ing(word)


def _is_participle(word: str) -> bool:
    return word in past_forms() or _is_ing(word)


def _is_ing(word: str) -> bool:
    return word.endswith("ing") and word in verb_forms() and word not in closed_class("noun-in-ing")
