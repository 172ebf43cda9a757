"""Reading of what a language model wrote: questions and answers, or a description; strictly.

A conversation is blocks that open with ``Question:`` and ``Answer:`` by turns, with a line ``===`` between
them; complex reasoning is exactly one such pair; a detailed description is plain paragraphs. These are the
formats of the published prompts. What a training record must not hold is refused as well, since a model would
learn it: coordinates, talk of captions or boxes (no image shows them), apologies, marks of our own formats.

Left out: whether an answer is true of its image; no reader of words can tell.
"""

import re
from dataclasses import dataclass

from llava_core.backends.asking import Malformed
from llava_core.data.conversation import IMAGE_TOKEN

FEWEST_PAIRS = 2
"""A conversation of fewer is none."""
FEWEST_WORDS = 20
"""A shorter description describes nothing in detail; the shortest of 30 published ones has 50 words."""

_SEPARATOR = re.compile(r"^[ \t]*={3,}[ \t]*$", re.MULTILINE)
_LABEL = re.compile(r"^[ \t]*(Question|Answer)[ \t]*:", re.MULTILINE)
_COORDINATES = re.compile(r"[\[(]\s*\d*\.\d+\s*,\s*\d*\.\d+|\b0\.\d{2,}\b")
_SOURCE = re.compile(
    r"\bcaptions?\b|\bbounding[ -]box(es)?\b|\bcoordinates?\b"
    r"|\b(provided|given|supplied) (description|information|text|sentence|list|annotation)s?\b"
    r"|\b(description|sentence|text|annotation)s? (that (is|are|was|were) )?(provided|given|supplied)\b"
    r"|\b(based on|according to|mentioned in|stated in) (the|these|your) "
    r"(description|sentence|text|annotation)s?\b",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"\bas an? (AI|artificial intelligence|language model)\b|\bI('m| am) (sorry|unable|not able)\b"
    r"|\bI (cannot|can't|can not) (see|view|provide|determine|help|assist|answer)\b",
    re.IGNORECASE,
)
_LIST = re.compile(r"^[ \t]*([-*\u2022#]|\d{1,2}[.)])[ \t]+\S|^[ \t]*```", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A question and its answer."""

    question: str | None
    """None: the question is not the language model's, but drawn from a list."""
    answer: str


def read_conversation(text: str) -> tuple[Pair, ...]:
    r"""Read several questions and answers.

    Raises
    ------
    Malformed
        With the reason, and after a colon what it was found in.

    Examples
    --------
    >>> asked = "Question: Who?\n===\nAnswer: A man.\n===\nQuestion: Where?\n===\nAnswer: At sea."
    >>> [pair.answer for pair in read_conversation(asked)]
    ['A man.', 'At sea.']
    """
    pairs = _pairs(text)
    if len(pairs) < FEWEST_PAIRS:
        raise Malformed(f"too few questions: got {len(pairs)}, allowed are {FEWEST_PAIRS} or more")
    asked = [" ".join((pair.question or "").lower().split()) for pair in pairs]
    repeated = next((question for question in asked if asked.count(question) > 1), None)
    if repeated is not None:
        raise Malformed(f"a question twice: {_shown(repeated)}")
    return pairs


def read_reasoning(text: str) -> tuple[Pair, ...]:
    """Read exactly one question and its answer.

    Raises
    ------
    Malformed
    """
    pairs = _pairs(text)
    if len(pairs) != 1:
        raise Malformed(f"several questions: got {len(pairs)}, allowed is one")
    return pairs


def read_detail(text: str) -> tuple[Pair, ...]:
    """Read a description in plain paragraphs.

    Raises
    ------
    Malformed
    """
    words = text.replace("\r\n", "\n").strip()
    if not words:
        raise Malformed("empty: got no words")
    if _SEPARATOR.search(words) or _LABEL.search(words):
        raise Malformed(f"questions in a description: {_shown(words)}")
    found = _LIST.search(words)
    if found:
        raise Malformed(f"a list or heading: {_shown(words[found.start() :])}")
    _check_words(words)
    if len(words.split()) < FEWEST_WORDS:
        raise Malformed(f"too short: got {len(words.split())} words, allowed are {FEWEST_WORDS} or more")
    paragraphs = [" ".join(part.split()) for part in re.split(r"\n\s*\n", words)]
    return (Pair(question=None, answer="\n\n".join(paragraphs)),)


def reason(problem: str) -> str:
    """Return the part of a problem that is the same wherever it occurs, to count by.

    Examples
    --------
    >>> reason("coordinates: '[0.1, 0.2'")
    'coordinates'
    """
    return problem.split(": ", 1)[0]


def _pairs(text: str) -> tuple[Pair, ...]:
    blocks = [block.strip() for block in _SEPARATOR.split(text.replace("\r\n", "\n").strip())]
    if blocks == [""]:
        raise Malformed("empty: got no words")
    said: list[str] = []
    for index, block in enumerate(blocks):
        expected = ("Question", "Answer")[index % 2]
        label = _LABEL.match(block)
        if label is None or label[1] != expected:
            raise Malformed(
                f"not in its format: got {_shown(block)}, allowed is a block that opens with {expected}:"
            )
        words = block[label.end() :].strip()
        if not words:
            raise Malformed(f"an empty {expected.lower()}: block {index + 1} of {len(blocks)}")
        if _LABEL.search(words):
            raise Malformed(f"a line === is missing: {_shown(words)}")
        _check_words(words)
        said.append(words)
    if len(said) % 2:
        raise Malformed(f"a question without an answer: {_shown(said[-1])}")
    return tuple(
        Pair(question=question, answer=answer) for question, answer in zip(said[::2], said[1::2], strict=True)
    )


def _check_words(words: str) -> None:
    """Refuse what no training record may hold."""
    if IMAGE_TOKEN in words:
        raise Malformed(f"the mark of an image: {IMAGE_TOKEN}")
    for name, pattern in (
        ("coordinates", _COORDINATES),
        ("names its source", _SOURCE),
        ("a refusal", _REFUSAL),
    ):
        found = pattern.search(words)
        if found:
            raise Malformed(f"{name}: {_shown(words[max(found.start() - 20, 0) :])}")


def _shown(words: str) -> str:
    return repr(" ".join(words[:120].split())[:60])
