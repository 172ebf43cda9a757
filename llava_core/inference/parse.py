"""The answer out of generated text: a letter by LLaVA's strict rules for ScienceQA, or an option's words.

Source: LLaVA ``llava/eval/eval_science_qa.py`` (from October 2023 on), in its order: the text is a letter;
it starts with a letter and ". "; it says "The answer is X." exactly once. Nothing else is guessed at.
"""

import re
from collections.abc import Sequence

LETTERS = "ABCDE"
UNPARSED = -1

_NOT_WORDS = re.compile(r"[^\w]+")
_ANNOUNCED = re.compile(r"The answer is ([A-Z]).")  # the last sign is any, as in the source


def parse_letter(text: str, n_options: int) -> int:
    """Return the option index that a text states, -1 where it states none within the options.

    Parameters
    ----------
    text : str
        Generated text.
    n_options : int
        Options of the question, 2 to 5.

    Returns
    -------
    int
        Index from 0, or -1.

    References
    ----------
    LLaVA repository, ``llava/eval/eval_science_qa.py``.

    Examples
    --------
    >>> [parse_letter(text, 3) for text in ("B", "C. a magnet", "So it floats. The answer is A.", "D")]
    [1, 2, 0, -1]
    """
    if text in tuple(LETTERS) or (text[:1] in tuple(LETTERS) and text[1:3] == ". "):
        return _index_of(text[0], n_options)
    return parse_announced(text, n_options)


def parse_announced(text: str, n_options: int) -> int:
    """Return the option of the one "The answer is X." in a text, -1 for none, several, or one beyond.

    The only rule of ``eval_science_qa.py`` before 11 October 2023, and the last of the three since.

    Examples
    --------
    >>> [parse_announced(text, 3) for text in ("So it floats. The answer is A.", "A", "The answer is D.")]
    [0, -1, -1]
    """
    stated = announced_letters(text)
    return _index_of(stated[0], n_options) if len(stated) == 1 else UNPARSED


def announced_letters(text: str) -> list[str]:
    """Return the letter of each "The answer is X." in a text."""
    return _ANNOUNCED.findall(text)


def parse_reply(text: str, options: Sequence[str], *, prompt: str) -> int:
    """Return the option that a reply to a prompt of `llava_core.data.prompts.PROMPTS` names, -1 for none."""
    return parse_answer(text, options) if prompt == "option_texts" else parse_letter(text, len(options))


def parse_answer(text: str, options: Sequence[str]) -> int:
    """Return the option that a generated text names by its words, -1 where it names none or several.

    Upper and lower case, punctuation and spaces do not count. A text that is an option names it; otherwise
    the one option that occurs in the text as whole words does.

    Examples
    --------
    >>> [parse_answer(text, ("red", "dark red")) for text in ("Red.", "it is dark red", "blue")]
    [0, -1, -1]
    """
    said = _words(text)
    told = [_words(option) for option in options]
    exact = [index for index, words in enumerate(told) if words == said]
    if len(exact) == 1:
        return exact[0]
    within = occurring_options(text, options)
    return within[0] if len(within) == 1 else UNPARSED


def occurring_options(text: str, options: Sequence[str]) -> list[int]:
    """Return the options that occur in a text as whole words, ignoring case, punctuation and spaces."""
    said = f" {_words(text)} "
    return [
        index for index, option in enumerate(options) if (words := _words(option)) and f" {words} " in said
    ]


def _index_of(letter: str, n_options: int) -> int:
    index = LETTERS.find(letter)
    return index if index < n_options else UNPARSED


def _words(text: str) -> str:
    return " ".join(_NOT_WORDS.sub(" ", text.lower()).split())
