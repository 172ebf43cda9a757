"""The class of a word, one letter, as the rules of `llava_core.concepts.rules` read it.

Most words get the most frequent part of speech that TextBlob's dictionary (94,000 words, after Brill 1992) or
its endings give. What captions use otherwise than newspapers do stands in `words.txt`: nouns that are verbs
after a person ("actor signs copies"), persons and animals, gerunds that name a kind of thing ("swimming
pool"). Left out: upper case, since the captions that this was made for have none, and any memory of the words
around, which is the rules' part.
"""

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources

WORDS_FILE = "words.txt"
_RATHER_PLURAL = "nouns or verbs, rather plural"
_LETTERS = {
    "colours": "L",
    "adjectives, not alone": "M",
    "agents": "A",
    "agents in irregular plural": "B",
    "nouns": "N",
    "nouns or verbs": "Y",
    "made gerunds": "u",
    "thing gerunds": "g",
    "adjectives": "J",
}
"""Lists by name, and the class that their words have; other lists are named by the letter itself."""
_NO_WORDS = frozenset({"UH", "SYM", "LS", ":", "."})
_SHORT = 5
"""Words up to this length end so by chance: "king", "list", "omen"."""

_BY_TAG = {
    **dict.fromkeys(("DT", "PRP$", "PDT"), "D"),
    "CD": "Q",
    **dict.fromkeys(("JJ", "JJR", "JJS"), "J"),
    **dict.fromkeys(("NN", "NNP", "FW", "NN|JJ", "NN|CD", "JJ|NP"), "N"),
    **dict.fromkeys(("NNS", "NNPS"), "S"),
    "VBG": "G",
    **dict.fromkeys(("VBN", "VBD"), "P"),
    **dict.fromkeys(("VB", "VBP"), "V"),
    "VBZ": "Z",
    "MD": "T",
    **dict.fromkeys(("RB", "RBR", "RBS"), "O"),
    **dict.fromkeys(("IN", "RP"), "I"),
    "WRB": "E",
    "CC": "C",
    "TO": "T",
    "POS": "H",
    **dict.fromkeys(("PRP", "WP", "WP$", "WDT", "EX"), "W"),
}


@functools.lru_cache(maxsize=1 << 18)
def word_class(word: str) -> str:
    """Return the class of a word in lower case.

    Returns
    -------
    str
        One letter:

        - D article or possessive, Q number, J adjective, M adjective that does not stand for a noun, L colour
        - N noun, S plural, A person or animal, B several of them
        - u, g, G gerund: a thing by itself, a kind of thing before a noun, neither
        - P participle or past, v verb that is never a noun, V other verb, Z verb in -s
        - Y noun or verb, X the same in -s
        - R and O adverbs, I preposition, E preposition before gerunds, T to and modals, C and, H 's
        - W pronoun, K close, U up, F front
        - O also for whatever is no word

    Examples
    --------
    >>> "".join(map(word_class, "the old sailor repairs a fishing net".split()))
    'DJAZDgN'
    """
    lists = _lists()
    if word in lists.by_word:
        return lists.by_word[word]
    if not word[0].isalnum():
        return "O"
    if word[0].isdigit():
        return "J" if "-" in word else "Q"
    inflected = _inflected(word)
    if inflected is not None:
        return inflected
    whole, _, last = word.rpartition("-")
    if whole and last:
        known = word_class(last)
        return known if known in "JLNSABP" else "J" if known in "Gg" else "N"
    return _from_dictionary(word)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    by_word: Mapping[str, str]
    """Class of a word as it stands in a list."""
    rather_plural: frozenset[str]


@functools.lru_cache(maxsize=1)
def _lists() -> _Lists:
    """Read the lists; where a word stands in several, the first of `_LETTERS` decides."""
    text = resources.files(__package__).joinpath(WORDS_FILE).read_text(encoding="utf-8")
    words: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("["):
            name = line.strip("[]")
        elif line and not line.startswith("#"):
            words.setdefault(name, []).extend(line.split())
    rather_plural = frozenset(words.pop(_RATHER_PLURAL))
    by_word: dict[str, str] = {}
    for listed in sorted(words, key=lambda n: list(_LETTERS).index(n) if n in _LETTERS else -1):
        for word in words[listed]:
            by_word.setdefault(word, _LETTERS.get(listed, listed))
    return _Lists(by_word=by_word, rather_plural=rather_plural)


def _inflected(word: str) -> str | None:
    """Return the class of a form in -s by its singular, since the lists hold singulars only."""
    if not word.endswith("s") or word.endswith("ss"):
        return None
    lists = _lists()
    stems = [word[:-1]]
    if word.endswith("ies"):
        stems.append(word[:-3] + "y")
    if word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        stems.append(word[:-2])
    classes = {lists.by_word.get(stem) for stem in stems}
    if "Y" in classes or any(stem in lists.rather_plural for stem in stems):
        return "X" if any(stem in lists.rather_plural for stem in stems) else "Z"
    if "A" in classes:
        return "B"
    return "S" if classes & {"N", "L"} else None


@functools.lru_cache(maxsize=1)
def _dictionary() -> Callable[..., list[tuple[str, str]]]:
    """Read TextBlob's dictionary and endings, which it leaves open when it reads them at first use."""
    from textblob.en import tag

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        tag("a word nowhere listable", tokenize=False)
    known: Callable[..., list[tuple[str, str]]] = tag
    return known


def _from_dictionary(word: str) -> str:
    (_, known), *_ = _dictionary()(word, tokenize=False)
    letter = _BY_TAG.get(known, "O" if known in _NO_WORDS else "N")
    if letter == "N" and word.endswith("ing") and len(word) > _SHORT:
        return "g"
    if letter == "N" and word.endswith(("ist", "ian", "man", "woman", "person")) and len(word) > _SHORT:
        return "A"
    if letter == "S" and word.endswith(("ists", "ians", "men")) and len(word) > _SHORT:
        return "B"
    return "R" if letter == "O" and word.endswith("ly") else letter
