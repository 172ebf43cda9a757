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
        letter = text[0]
    else:
        stated = _ANNOUNCED.findall(text)
        if len(stated) != 1:
            return UNPARSED
        letter = stated[0]
    index = LETTERS.find(letter)
    return index if index < n_options else UNPARSED


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
    within = [index for index, words in enumerate(told) if words and f" {words} " in f" {said} "]
    return within[0] if len(within) == 1 else UNPARSED


def _words(text: str) -> str:
    return " ".join(_NOT_WORDS.sub(" ", text.lower()).split())
