"""How a multiple-choice question becomes human words, and how its answer reads: every prompt by its name.

``INPUT-OUTPUT`` names a prompt of ScienceQA's grammar, see `llava_core.data.grammar`: QCM-LEA is LLaVA's
ScienceQA from August 2023 on, QCM-LEPA that of its paper, which is asked in two passes. ``CQM-A`` is the
layout of the ScienceQA questions of LLaVA v1.5, with the suffix that its evaluation adds; the grammar's own
CQM-A, another layout of the same name, is ``CQM-A-v1`` here. ``option_texts`` has no letters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from llava_core.data.conversation import Turn, question_prompt
from llava_core.data.example import Example
from llava_core.data.grammar import (
    INPUTS,
    OUTPUTS,
    REASONS_END,
    answer_of,
    assistant_words,
    human_words,
    letters,
)
from llava_core.errors import InputError

LETTER_ONLY = "Answer with the option's letter from the given choices directly."
"""What LLaVA v1.5 adds to a question whose answer shall be a letter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TwoPass:
    """How a prompt is decoded whose reasons come first and whose answer is asked for apart.

    Source: LLaVA ``model_vqa_science.py`` of April 2023 with its answer prompter.
    """

    stop: str = REASONS_END
    """What ends the reasons."""
    cue: str = f" {REASONS_END}\nANSWER:"
    """Put behind the reasons for the second pass."""
    glue: str = "\n The answer is "
    """Between reasons and answer in the whole reply."""
    n_reason_tokens: int = 1024
    """Room for the reasons, tokens."""
    temperature: float = 0.7
    """Of both passes."""


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
    mark_first: bool = True
    """Whether a record of LLaVA has the image's mark before the words; training shows it first anyway."""
    n_answer_tokens: int = 16
    """Room for an answer, tokens."""
    two_pass: TwoPass | None = None
    """None where a reply is written in one go. ``scored`` then reads on from the cue."""


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


def find_prompt(name: str) -> Prompt:
    """Return a prompt by its name.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in PROMPTS:
        raise InputError(f"got {name!r}, allowed are {ALLOWED}", field="prompt")
    return PROMPTS[name]


def _cqm(example: Example) -> str:
    context = [f"Context: {example.hint}"] if example.hint else []
    options = zip(letters(example), example.options, strict=True)
    listed = [f"{letter}. {option}" for letter, option in options]
    return "\n".join([*context, example.question, *listed]).strip() + f"\n{LETTER_ONLY}"


def _stated(example: Example) -> tuple[str, ...]:
    return tuple(f"The answer is {letter}." for letter in letters(example))


def _composed(name: str, inputs: str, outputs: str) -> Prompt:
    """Return a prompt of the grammar."""
    two_pass = TwoPass() if outputs == "LEPA" else None
    return Prompt(
        name=name,
        ask=partial(human_words, inputs=inputs),
        answer=partial(assistant_words, outputs=outputs),
        scored=_stated
        if two_pass is None
        else lambda example: tuple(f" {letter}." for letter in letters(example)),
        n_answer_tokens=16 if outputs == "A" else 1024 if two_pass is None else 64,
        two_pass=two_pass,
        mark_first=False,
    )


PROMPTS = {
    prompt.name: prompt
    for prompt in (
        Prompt(
            name="option_texts",
            ask=question_prompt,
            answer=lambda example: example.options[answer_of(example)],
            scored=lambda example: example.options,
        ),
        Prompt(
            name="CQM-A",
            ask=_cqm,
            answer=lambda example: letters(example)[answer_of(example)],
            scored=lambda example: tuple(letters(example)),
        ),
        _composed("CQM-A-v1", "CQM", "A"),
        *(
            _composed(f"{inputs}-{outputs}", inputs, outputs)
            for inputs in INPUTS
            for outputs in OUTPUTS
            if (inputs, outputs) != ("CQM", "A")
        ),
    )
}

ALLOWED = (
    "option_texts, CQM-A (of LLaVA v1.5), CQM-A-v1, and INPUT-OUTPUT with an input of "
    f"{' '.join(INPUTS)} and an output of {' '.join(OUTPUTS)}"
)
"""All names, in few words."""
