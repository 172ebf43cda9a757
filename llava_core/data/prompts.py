"""How a multiple-choice question becomes human words, and how its answer reads.

Sources: LLaVA ``scripts/convert_sqa_to_llava.py`` with its ``_base_prompt`` (QCM-LEA, ScienceQA from August
2023 on), and the layout of the ScienceQA questions of LLaVA v1.5 with the suffix that its evaluation adds
(CQM-A). Names are INPUT-OUTPUT: Q question, C context, M options; L lecture, E solution, A answer. The
published conversion deletes "Question: " and "Answer: " wherever they stand, here at the beginning only.
Left out: the other combinations of these parts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Literal

from llava_core.data.conversation import Turn, question_prompt
from llava_core.data.example import Example
from llava_core.errors import InputError

LETTER_ONLY = "Answer with the option's letter from the given choices directly."
"""What LLaVA v1.5 adds to a question whose answer shall be a letter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """One way of asking."""

    name: str
    ask: Callable[[Example], str]
    """The human's words."""
    answer: Callable[[Example], str]
    """The assistant's words, which training supervises. The example has an answer."""
    scored: Callable[[Example], tuple[str, ...]]
    """For each option, the assistant's words whose log-likelihood speaks for it."""
    image_position: Literal["first", "last"] = "first"
    """Where the image stands beside the words, as the model sees it."""
    n_answer_tokens: int = 16
    """Room for an answer, tokens."""


def prompted_turns(
    example: Example,
    prompt: Prompt,
    *,
    answered: bool,
    option_order: Sequence[int] | None = None,
) -> list[Turn]:
    """Return the turns of one question.

    Parameters
    ----------
    example : Example
    prompt : Prompt
    answered : bool
        Whether the assistant's turn follows, for training; otherwise the conversation is left open.
    option_order : sequence of int, optional
        Permutation in which the options are listed; letters follow the places. The order of the data set if
        not given.

    Raises
    ------
    ValueError
        If an answer is asked of an unlabelled example.
    InputError
        If there are more options than letters.
    """
    if option_order is not None:
        example = reordered(example, option_order)
    image = prompt.image_position if example.has_image else None
    turns = [Turn(role="human", text=prompt.ask(example), image=image)]
    if answered:
        turns.append(Turn(role="assistant", text=prompt.answer(example)))
    return turns


def reordered(example: Example, option_order: Sequence[int]) -> Example:
    """Return the example with its options in another order, and its answer where it has gone.

    Examples
    --------
    >>> example = Example(
    ...     id="1", question="?", options=("a", "b", "c"), answer=0, split=None, group="g"
    ... )
    >>> moved = reordered(example, [2, 0, 1])
    >>> moved.options, moved.answer
    (('c', 'a', 'b'), 1)
    """
    if sorted(option_order) != list(range(len(example.options))):
        raise ValueError(f"got option_order={list(option_order)} for {len(example.options)} options")
    return replace(
        example,
        options=tuple(example.options[index] for index in option_order),
        answer=None if example.answer is None else list(option_order).index(example.answer),
    )


def _letters(example: Example) -> str:
    """Return the letters of the options, A first."""
    n_options = len(example.options)
    if n_options > len(ascii_uppercase):
        raise InputError(
            f"got {n_options} options, allowed are {len(ascii_uppercase)} where letters stand for them",
            record=example.id,
            field="options",
        )
    return ascii_uppercase[:n_options]


def _answer(example: Example) -> int:
    if example.answer is None:
        raise ValueError(f"got example {example.id!r} without an answer")
    return example.answer


def _tidied(text: str) -> str:
    """Return the text as the published conversion leaves it: three spaces become two."""
    return text.replace("  ", " ").strip()


def _qcm(example: Example) -> str:
    context = (example.hint or "").strip() or "N/A"
    options = zip(_letters(example), example.options, strict=True)
    listed = " ".join(f"({letter}) {option}" for letter, option in options)
    text = _tidied(f"Question: {example.question}\nContext: {context}\nOptions: {listed}\n")
    return text.removeprefix("Question: ")


def _lea(example: Example) -> str:
    letter = _letters(example)[_answer(example)]
    reasons = f"{example.lecture or ''} {example.solution or ''}"
    # Tidied with its head on, as published: without lecture and solution a space is left at the beginning.
    return _tidied(f"Answer: {reasons} The answer is {letter}.").removeprefix("Answer: ")


def _cqm(example: Example) -> str:
    context = [f"Context: {example.hint}"] if example.hint else []
    options = zip(_letters(example), example.options, strict=True)
    listed = [f"{letter}. {option}" for letter, option in options]
    return "\n".join([*context, example.question, *listed]).strip() + f"\n{LETTER_ONLY}"


PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            name="option_texts",
            ask=question_prompt,
            answer=lambda example: example.options[_answer(example)],
            scored=lambda example: example.options,
        ),
        # The files have the image last; the training code of that time shows it first all the same.
        Prompt(
            name="QCM-LEA",
            ask=_qcm,
            answer=_lea,
            scored=lambda example: tuple(f"The answer is {letter}." for letter in _letters(example)),
            n_answer_tokens=1024,
        ),
        Prompt(
            name="CQM-A",
            ask=_cqm,
            answer=lambda example: _letters(example)[_answer(example)],
            scored=lambda example: tuple(_letters(example)),
        ),
    )
}
