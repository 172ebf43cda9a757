"""Noun phrases of a caption by rules on word classes.

A caption becomes a string with one letter per token (`llava_core.concepts.word_classes`); a few substitutions
settle from the neighbours what a word alone leaves open, and one pattern finds the phrases. All of it is
linear in the caption. A phrase is what spaCy calls a noun chunk: article, numbers, adjectives and nouns up to
the head, with possessors ("the dog 's tail"), without what follows the head ("of ...", "with ..."). Pronouns
and bare numbers are no phrases. Left out: adjectives joined by a comma, "a and b" as one compound, upper case
as a sign of a name.
"""

import functools
import re
from collections.abc import Sequence

from llava_core.concepts.word_classes import word_class

_TOKEN = re.compile(r"[^\W_]+(?:[-.&+][^\W_]+)*|'(?:s|t|re|ve|ll|d|m)?\b|[^\w\s]|_")

_NOUN = "NSAB"
_SUBSTITUTIONS: tuple[tuple[str, str], ...] = (
    # "close up" is a noun here, a lone "close" an adjective; "in front of" is a preposition.
    ("KU", "NN"),
    ("(?<=I)F(?=I)", "I"),
    ("F", "N"),
    ("K", "J"),
    ("U", "I"),
    # After to, a modal or a pronoun: a verb.
    ("(?<=[TW])[YXP]", "V"),
    ("(?<=TO)[Y]", "V"),
    # After an article or adjective: a noun.
    ("(?<=[DJLMQH])[ZX]", "S"),
    ("(?<=[DJLMQH])[YV](?![YV]?D)", "N"),
    ("(?<=[DH])[YV]", "N"),
    ("v", "V"),
    # "actor signs", "the museum displays a": a verb after a person, or between a noun and the next phrase.
    (f"(?<=[IEVGgPO])Z|^Z|(?<=[{_NOUN}]C)Z", "S"),
    ("(?<=A)X", "V"),
    (f"(?<=[{_NOUN}Y])X(?=[DTJLQPR{_NOUN}])", "V"),
    ("X", "S"),
    # "soldiers march", "trees line the": after a plural.
    ("(?<=B)Y", "V"),
    ("(?<=S)Y(?=[DIO]|$)", "V"),
    ("(?<=[WO])Y(?=D)", "V"),
    ("^Y(?=D)", "V"),
    ("Y", "N"),
    # Gerunds: "a fishing net" against "a man fishing nets".
    ("(?<=[DJLMQHPR])[ugG](?=[JLMPugG]*[NSAB])", "J"),
    ("(?<=N)u(?=[IOCEVZ]|$)", "N"),
    ("u", "g"),
    ("(?<=N)g(?=[NS])", "N"),
    ("^g(?=[IOCVZ]|$)", "N"),
    ("(?<=[DJLH])[gG]", "N"),
    ("(?<![NSABEWTOVZ])[gG](?=[JLMP]*[NSAB])", "J"),
    ("(?<=I)g", "N"),
    ("[gG]", "V"),
    # Participles before a noun are adjectives, "snow covered trees" included; others are verbs.
    ("(?<=[DJLMQHIECRPVZO])P(?=(?:C?[JLMP])*[NSAB])", "J"),
    ("^P(?=(?:C?[JLMP])*[NSAB])", "J"),
    ("^NP(?=[JLM]*[NSAB])", "JJ"),
    ("(?<=[DJLMIC]N)P(?=[JLM]*[NSAB])", "J"),
    ("P", "V"),
    # Without a noun behind them: colours after a preposition, and the last adjective after an article.
    (f"(?<=I)LCL(?![JLM{_NOUN}])", "NCN"),
    (f"(?<=I)L(?![JLMC{_NOUN}])", "N"),
    (f"(?<=D)([JLM]*)[JL](?![JLMQR{_NOUN}]|C[JL])", r"\1N"),
)
_RULES = tuple((re.compile(pattern), by) for pattern, by in _SUBSTITUTIONS)

_CORE = rf"(?:R?[JLMQ]|[JL]C(?=[JL]))*(?:[{_NOUN}](?:[JLM]+(?=[{_NOUN}]))?)+"
_PHRASE = re.compile(rf"D?{_CORE}(?:HO?{_CORE})*")


def split_words(caption: str) -> list[str]:
    """Return the tokens of a caption: words with their hyphens, possessive endings, single marks.

    Examples
    --------
    >>> split_words("the dog's semi-dry tail, wagging")
    ['the', 'dog', "'s", 'semi-dry', 'tail', ',', 'wagging']
    """
    return _TOKEN.findall(caption.replace("\u2019", "'"))


def find_noun_phrases(caption: str) -> list[list[str]]:
    """Return the noun phrases of a caption, each as its tokens, in their order.

    Examples
    --------
    >>> find_noun_phrases("A sailor repairs the torn fishing net")
    [['A', 'sailor'], ['the', 'torn', 'fishing', 'net']]
    """
    words = split_words(caption)
    classes = "".join(map(word_class, split_words(caption.lower())))
    return [words[start:end] for start, end in _spans(classes)]


@functools.lru_cache(maxsize=1 << 16)
def _spans(classes: str) -> Sequence[tuple[int, int]]:
    """Return where phrases stand; many captions share their string of classes."""
    for pattern, by in _RULES:
        classes = pattern.sub(by, classes)
    return [match.span() for match in _PHRASE.finditer(classes)]
