"""When two noun phrases count as one: upper case, articles, plurals."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from llava_core.concepts.word_classes import word_class


@dataclass(frozen=True, kw_only=True, slots=True)
class PhraseForm:
    """What of a phrase is not looked at when phrases are counted."""

    keep_case: bool = False
    """Tell "Turkey" from "turkey". Off: captions spell the same thing in either way."""
    keep_articles: bool = False
    """Tell "a dog" from "the dog". Off: an article or possessive in front names no other concept, and would
    give one concept several quotas."""
    singular: bool = False
    """Count "dogs" as "dog". Off: one dog and several look different, and a rule that takes plurals
    apart is wrong at times."""


def phrase_text(words: Sequence[str], form: PhraseForm) -> str:
    """Return the text that a phrase is counted under; empty if nothing but articles is left.

    Parameters
    ----------
    words : sequence of str
        Tokens of one noun phrase.
    form : PhraseForm

    Examples
    --------
    >>> phrase_text(["The", "sailor", "'s", "old", "boats"], PhraseForm(singular=True))
    "sailor 's old boat"
    """
    kept = list(words) if form.keep_case else [word.lower() for word in words]
    if not form.keep_articles:
        first = 0
        while first < len(kept) and _is_article(kept[first]):
            first += 1
        kept = kept[first:]
    if form.singular and kept:
        kept[-1] = _singular(kept[-1])
    return " ".join(kept)


@functools.lru_cache(maxsize=1 << 16)
def _is_article(word: str) -> bool:
    return word_class(word.lower()) == "D"


@functools.lru_cache(maxsize=1 << 16)
def _singular(word: str) -> str:
    from textblob.en.inflect import singularize

    return str(singularize(word)) if word_class(word.lower()) in "SBXZ" else word
