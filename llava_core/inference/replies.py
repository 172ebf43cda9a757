"""What a model says to multiple-choice questions, in one pass or, with reasons first, in two.

Two passes, as LLaVA's paper did on ScienceQA (``model_vqa_science.py`` of April 2023 with its answer
prompter): the reasons are drawn until ``###``; then the model goes on behind them and a cue, which gives the
answer. Both are put together as a reply that ends with "The answer is X.". Which prompts are asked so says
`llava_core.data.prompts.Prompt.two_pass`. Unlike there, reasons end early enough to leave room for an answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from llava_core.checkpoint import LlavaBundle
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS, Prompt
from llava_core.inference.asking import BATCH_SIZE, Vision
from llava_core.inference.decoding import Decoding
from llava_core.inference.generate import generate, question_dialogue

_CUE_TOKENS = 16
"""Room for the cue, and for words that take more tokens when they are read than when they were written."""

Progress = Callable[[int, int], None]


def own_decoding(
    prompt: Prompt,
    *,
    max_new_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float = 1.0,
    seed: int = 0,
) -> Decoding:
    """Return how replies to a prompt are decoded, where nothing else is wanted.

    Parameters
    ----------
    prompt : Prompt
    max_new_tokens : int, optional
        Of the reasons where there are two passes; what the prompt says, if not given.
    temperature : float, optional
        0, and 0.7 where there are two passes, if not given.
    top_p : float
    seed : int

    Examples
    --------
    >>> from llava_core.data.prompts import find_prompt
    >>> own_decoding(find_prompt("QCM-LEPA"))
    Decoding(max_new_tokens=1024, temperature=0.7, top_p=1.0, seed=0)
    """
    passes = prompt.two_pass
    n_tokens = prompt.n_answer_tokens if passes is None else passes.n_reason_tokens
    usual = 0.0 if passes is None else passes.temperature
    return Decoding(
        max_new_tokens=n_tokens if max_new_tokens is None else max_new_tokens,
        temperature=usual if temperature is None else temperature,
        top_p=top_p,
        seed=seed,
    )


def begin_replies(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    decoding: Decoding,
    *,
    batch_size: int = BATCH_SIZE,
    vision: Vision | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Return what the model says before its answers: reasons and cue, or nothing where there is one pass.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
        An example whose image file is missing is asked without an image.
    decoding : Decoding
        From `own_decoding`.
    batch_size : int
        The words do not depend on it.
    vision : callable, optional
        As for `llava_core.inference.generate.generate`.
    progress : callable, optional
        Called with (examples done, examples in all).

    Returns
    -------
    list of str
        For `finish_replies`, and for the options' likelihoods behind them.

    Raises
    ------
    InputError
        If an image cannot be read, or a question is longer than the language model's span.
    """
    prompt = PROMPTS[bundle.prompt]
    passes = prompt.two_pass
    if passes is None:
        return [""] * len(examples)
    reasons = generate(
        bundle,
        [question_dialogue(bundle, example) for example in examples],
        decoding,
        batch_size=batch_size,
        vision=vision,
        stop=passes.stop,
        n_reserved=prompt.n_answer_tokens + _CUE_TOKENS,
        progress=progress,
    )
    return [text + passes.cue for text in reasons]


def finish_replies(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    begun: Sequence[str],
    decoding: Decoding,
    *,
    batch_size: int = BATCH_SIZE,
    vision: Vision | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Return the whole replies.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
    begun : sequence of str
        From `begin_replies`.
    decoding, batch_size, vision, progress
        As there.

    Returns
    -------
    list of str
        In the order of ``examples``.

    Raises
    ------
    InputError
        As `begin_replies`.
    """
    prompt = PROMPTS[bundle.prompt]
    passes = prompt.two_pass
    said = generate(
        bundle,
        [
            replace(question_dialogue(bundle, example), begun=words)
            for example, words in zip(examples, begun, strict=True)
        ],
        decoding if passes is None else replace(decoding, max_new_tokens=prompt.n_answer_tokens),
        batch_size=batch_size,
        vision=vision,
        stop="" if passes is None else passes.stop,
        progress=progress,
    )
    if passes is None:
        return said
    return [
        words.removesuffix(passes.cue) + passes.glue + answer
        for words, answer in zip(begun, said, strict=True)
    ]


def generate_answers(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    max_new_tokens: int | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Progress | None = None,
) -> list[str]:
    """Return the replies to multiple-choice questions, decoded as their prompt wants it.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
    max_new_tokens : int, optional
        As for `own_decoding`.
    batch_size : int
    progress : callable, optional
        Called with (examples done, examples in all) of the last pass.

    Raises
    ------
    InputError
        As `begin_replies`.
    """
    decoding = own_decoding(PROMPTS[bundle.prompt], max_new_tokens=max_new_tokens)
    begun = begin_replies(bundle, examples, decoding, batch_size=batch_size)
    return finish_replies(bundle, examples, begun, decoding, batch_size=batch_size, progress=progress)
