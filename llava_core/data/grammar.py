"""ScienceQA's grammar of prompts, INPUT-OUTPUT, put together from its letters.

Source: LLaVA ``scripts/convert_sqa_to_llava_base_prompt.py``, which took it from ScienceQA. Inputs: Q
question, C context, M options, L lecture, E solution. Outputs: A answer, L, E, and P, "prefixed", for LEPA:
headed lines, then ``###``, as LLaVA's paper trained. Kept as published: AL tells the solution and AE the
lecture; three spaces become two; a reason that is missing leaves its place behind. The published code
deletes ``Question: `` and ``Answer: `` wherever they stand, here at the beginning only; likewise
``BECAUSE:``, at the end only. Left out: captions in the context.
"""

from string import ascii_uppercase

from llava_core.data.example import Example
from llava_core.errors import InputError

INPUTS = ("QCM", "CQM", "QCML", "QCME", "QCMLE", "QCLM", "QCEM", "QCLEM")
OUTPUTS = ("A", "AL", "AE", "ALE", "AEL", "LA", "EA", "LEA", "ELA", "LEPA")

REASONS_END = "###"
"""What ends lecture and solution in LEPA."""

_SWAPPED = {"AL": "E", "AE": "L"}
_BECAUSE = "BECAUSE:"


def human_words(example: Example, inputs: str) -> str:
    """Return what the human says.

    Parameters
    ----------
    example : Example
    inputs : str
        One of `INPUTS`.

    Examples
    --------
    >>> example = Example(
    ...     id="1", question="Which floats?", options=("cork", "iron"), answer=0, split=None, group="g",
    ...     lecture="Light things float.",
    ... )
    >>> print(human_words(example, "QCLM"))
    Which floats?
    Context: N/A
    BECAUSE: Light things float.
    Options: (A) cork (B) iron
    """
    options = zip(letters(example), example.options, strict=True)
    parts = {
        "Q": f"Question: {example.question}",
        "C": f"Context: {(example.hint or '').strip() or 'N/A'}",
        "M": "Options: " + " ".join(f"({letter}) {option}" for letter, option in options),
    }
    lines: list[str] = []
    reasons = "".join(letter for letter in inputs if letter in "LE")
    for letter in inputs:
        if letter in parts:
            lines.append(parts[letter])
        elif letter == reasons[0]:
            lines.append(f"{_BECAUSE} {_reasons(example, reasons)}")
    text = tidied("".join(f"{line}\n" for line in lines))
    return text.removesuffix(_BECAUSE).strip().removeprefix("Question: ")


def assistant_words(example: Example, outputs: str) -> str:
    """Return what the assistant says to a question whose answer is known.

    Parameters
    ----------
    example : Example
    outputs : str
        One of `OUTPUTS`.

    Raises
    ------
    ValueError
        If the example has no answer.

    Examples
    --------
    >>> example = Example(
    ...     id="1", question="Which floats?", options=("cork", "iron"), answer=0, split=None, group="g",
    ...     lecture="Light things float.", solution="Cork is light.",
    ... )
    >>> assistant_words(example, "EA")
    'Cork is light. The answer is A.'
    >>> assistant_words(example, "LEPA").splitlines()
    ['LECTURE: Light things float.', 'SOLUTION: Cork is light.', '###', 'ANSWER: A.']
    """
    letter = letters(example)[answer_of(example)]
    if outputs == "LEPA":
        headed = (("LECTURE", example.lecture), ("SOLUTION", example.solution))
        told = "".join(f"{head}: {text}\n" for head, text in headed if text and text.strip())
        return tidied(f"{told}{REASONS_END}\nANSWER: {letter}.")
    stated = f"The answer is {letter}."
    reasons = _SWAPPED.get(outputs, outputs.replace("A", ""))
    if not reasons:
        words = stated
    elif outputs.startswith("A"):
        words = f"{stated} {_BECAUSE} {_reasons(example, reasons)}"
    else:
        words = f"{_reasons(example, reasons)} {stated}"
    # Tidied with its head on, as published: without reasons a space is left at the beginning.
    text = tidied(f"Answer: {words}")
    if text.endswith(_BECAUSE):
        text = text.removesuffix(_BECAUSE).strip()
    return text.removeprefix("Answer: ")


def letters(example: Example) -> str:
    """Return the letters of the options, A first.

    Raises
    ------
    InputError
        If there are more options than letters.
    """
    n_options = len(example.options)
    if n_options > len(ascii_uppercase):
        raise InputError(
            f"got {n_options} options, allowed are {len(ascii_uppercase)} where letters stand for them",
            record=example.id,
            field="options",
        )
    return ascii_uppercase[:n_options]


def answer_of(example: Example) -> int:
    """Return the index of the right option.

    Raises
    ------
    ValueError
        If it is not known.
    """
    if example.answer is None:
        raise ValueError(f"got example {example.id!r} without an answer")
    return example.answer


def tidied(text: str) -> str:
    """Return the text as the published conversion leaves it: three spaces become two."""
    return text.replace("  ", " ").strip()


def _reasons(example: Example, wanted: str) -> str:
    told = {"L": example.lecture or "", "E": example.solution or ""}
    return " ".join(told[letter] for letter in wanted)
