"""Option index out of a free-form response to "give the option's index", counted from 0.

For models that were asked for an index and answered in digits, in words, with the option's own text or with
an explanation around it. A response that names two options, or an index whose text belongs to another
option, is unparsed: -1 is a count in the report, a guess would be a wrong feature. Indices in running prose
without a phrase that announces them are not looked for. Why a response is unparsed is told beside it.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from llava_core.inference.parse import UNPARSED, occurring_options, parse_letter

EMPTY = "empty"
BEYOND = "an index beyond the options"
CONTRADICTION = "an index with the text of another option"
SEVERAL_ANNOUNCED = "several indices announced"
SEVERAL_NAMED = "several options named, none chosen"
IN_PROSE = "one option in running prose"
NO_OPTION = "no option named"
REASONS = (EMPTY, BEYOND, CONTRADICTION, SEVERAL_ANNOUNCED, SEVERAL_NAMED, IN_PROSE, NO_OPTION)
"""Why a response is unparsed; every one has exactly one reason, the first of these that holds."""


class Response(NamedTuple):
    """What a response says."""

    option: int
    """Index from 0, or -1."""
    reason: str
    """One of `REASONS` where the option is -1, else empty."""


_NUMBER_WORDS = {
    **dict(zip(("zero", "one", "two", "three", "four"), range(5), strict=True)),
    **dict(zip(("first", "second", "third", "fourth", "fifth"), range(5), strict=True)),
}
_EDGES = " \t\r\n\"'`*()[].,:;\u3002\uff1a\uff0c"
_INDEX = re.compile(r"(?:option|index|answer|choice)?\s*\W{0,3}(\d)", re.IGNORECASE)
_LABELLED = re.compile(r"\[?(\d)\]?\s*[.:\uff1a)]\s*(\S.*)", re.DOTALL)
_INTRODUCTION = re.compile(r"^.*(?:answer(?:\s+is)?|答案(?:是|为)?|\[选项\])[\s\]*:\uff1a]+", re.IGNORECASE)
_ONLY_INDICES = re.compile(r"[\d\W]+")
# The phrases of English and Chinese prompts; up to six signs or a copula may stand before the index.
_ANNOUNCED = re.compile(
    r"(?:answer|option(?:\s+index)?|index|choice|答案|选项编号|选项索引|索引)"
    r"[\s\]*:\uff1a]{0,6}(?:is|为|是)?[\s\[(*:\uff1a]{0,6}(\d)(?![\d/:.,]\d)",
    re.IGNORECASE,
)


def parse_index(text: str, options: Sequence[str]) -> int:
    """Return the option that a free-form response names, -1 where it names none or more than one.

    Parameters
    ----------
    text : str
        What the model wrote.
    options : sequence of str
        The options in the order the model saw.

    Returns
    -------
    int
        Index from 0, or -1.

    Examples
    --------
    >>> [parse_index(text, ["repel", "attract"]) for text in (" 1. ", "one", "repel.", "1. attract")]
    [1, 1, 0, 1]
    >>> [parse_index(text, ["repel", "attract"]) for text in ("1. repel", "7", "0, 1", "")]
    [-1, -1, -1, -1]
    >>> parse_index("They share a pole, so they repel. Answer: 0", ["repel", "attract"])
    0
    """
    return read_response(text, options).option


def read_response(text: str, options: Sequence[str]) -> Response:
    """Return the option that a free-form response names, or why it names none.

    Parameters
    ----------
    text : str
    options : sequence of str
        As for `parse_index`.

    Examples
    --------
    >>> read_response("1. repel", ["repel", "attract"])
    Response(option=-1, reason='an index with the text of another option')
    """
    if not text.strip():
        return Response(UNPARSED, EMPTY)
    whole = _short_answer(text.strip(_EDGES), options)
    if whole is not None:
        return whole
    last = text.strip().rpartition("\n")[2]
    closing = _short_answer(_INTRODUCTION.sub("", last).strip(_EDGES), options)
    if closing is not None:
        return closing
    announced = {int(digit) for digit in _ANNOUNCED.findall(text)}
    if len(announced) == 1:
        return _within(announced.pop(), options)
    if announced:
        return Response(UNPARSED, SEVERAL_ANNOUNCED)
    numbers = {int(digit) for digit in re.findall(r"\d", text)} if _ONLY_INDICES.fullmatch(text) else set()
    n_named = max(len(occurring_options(text, options)), len(numbers))
    return Response(UNPARSED, SEVERAL_NAMED if n_named > 1 else IN_PROSE if n_named else NO_OPTION)


def _short_answer(text: str, options: Sequence[str]) -> Response | None:
    """Return what a text without an explanation says; None for an explanation."""
    index = _INDEX.fullmatch(text)
    if index is not None:
        return _within(int(index[1]), options)
    named = _option_of(text, options)
    if named >= 0:
        return Response(named, "")
    words = text.lower().removeprefix("the ").removeprefix("option ").removesuffix(" option")
    if words in _NUMBER_WORDS:
        return _within(_NUMBER_WORDS[words], options)
    letter = parse_letter(text, len(options))
    if letter >= 0:
        return Response(letter, "")
    labelled = _LABELLED.fullmatch(text)
    if labelled is not None:
        named = _option_of(labelled[2].strip(_EDGES), options)
        if named >= 0:
            agrees = named == int(labelled[1])
            return Response(named, "") if agrees else Response(UNPARSED, CONTRADICTION)
    return None


def _option_of(text: str, options: Sequence[str]) -> int:
    """Return the one option with this text, ignoring case and signs at the edges; -1 if not exactly one."""
    wanted = text.casefold()
    hits = [index for index, option in enumerate(options) if option.strip(_EDGES).casefold() == wanted]
    return hits[0] if len(hits) == 1 and wanted else -1


def _within(index: int, options: Sequence[str]) -> Response:
    return Response(index, "") if index < len(options) else Response(UNPARSED, BEYOND)
