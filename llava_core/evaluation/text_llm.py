"""A language model that sees no image, on multiple-choice questions: its answer, its verdict on two others.

The two ways in which LLaVA's paper joins GPT-4 and LLaVA on ScienceQA need both: GPT-4's own answers, text
only, and, where the two disagree, its final answer with both before it. The words are ours: the paper's
prompts are not published with their answers, and its two worked examples before each question are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from llava_core.backends.asking import ask_all
from llava_core.backends.budget import Budget
from llava_core.backends.cache import ReplyCache
from llava_core.backends.chat import Backend, Message, Reply, Request
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS
from llava_core.errors import InputError

_LENGTH = 1024
_ANSWER = (
    "You answer multiple-choice questions from school science. Some of them come with an image that you "
    "cannot see. Reason in a few sentences, then end with one line of this form: The answer is X. In it X is "
    "the letter of the option you choose. If a question cannot be answered without its image or its context, "
    "say what is missing, and do not write such a line."
)
_JUDGE = (
    "You decide between two answers to a multiple-choice question from school science. The first student "
    "saw the text only, the second one saw the image too, where there is one. Either may be wrong, and so "
    "may both. Weigh what they say, reason yourself in a few sentences, then end with one line of this form: "
    "The answer is X. In it X is the letter of the option that is right."
)


def answer_requests(examples: Sequence[Example]) -> list[Request]:
    """Return what is asked of the model about each question, as text only."""
    return [_request(example, _ANSWER, _question(example)) for example in examples]


def judge_requests(
    examples: Sequence[Example], first: Mapping[str, str], second: Mapping[str, str]
) -> list[Request]:
    """Return what is asked about questions that were answered in two ways.

    Parameters
    ----------
    examples : sequence of Example
    first, second : mapping of str to str
        Question id to what the model that saw no image, and the one that did, wrote.
    """
    return [
        _request(
            example,
            _JUDGE,
            f"{_question(example)}\n\nFirst student: {_told(first[example.id])}\n\n"
            f"Second student: {_told(second[example.id])}",
        )
        for example in examples
    ]


def ask_texts(
    backend: Backend,
    requests: Sequence[Request],
    *,
    cache: Path,
    budget: Budget,
    concurrency: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, str]:
    """Return the model's words, by question id; none, "", where the question itself was refused.

    Parameters
    ----------
    backend : Backend
    requests : sequence of Request
    cache : Path
        File of replies; what it holds is not asked for again.
    budget : Budget
    concurrency : int
    progress : callable, optional
        Called with (requests done, requests in all).

    Raises
    ------
    InputError
        If a request has no reply, for another reason than that it was refused itself. A question that was
        never asked must not look like one that the model had no answer to, so nothing is returned; the
        replies there were are in the cache.
    """
    with ReplyCache(cache) as replies:
        outcomes = list(
            ask_all(
                backend, requests, _words, cache=replies, budget=budget, concurrency=concurrency,
                progress=progress,
            )
        )  # fmt: skip
    lacking = [outcome for outcome in outcomes if outcome.value is None and not outcome.is_lasting]
    if lacking:
        raise InputError(
            f"no reply to {len(lacking)} of {len(outcomes)} requests (the first: {lacking[0].problem}); the "
            "others are kept, run again to go on",
            record=lacking[0].request.id,
        )
    return {outcome.request.id: outcome.value or "" for outcome in outcomes}


def _request(example: Example, system: str, words: str) -> Request:
    return Request(
        id=example.id,
        messages=(Message(role="system", text=system), Message(role="user", text=words)),
        max_tokens=_LENGTH,
    )


def _question(example: Example) -> str:
    told = PROMPTS["QCM-LEA"].ask(example)
    return f"{told}\n(The question comes with an image.)" if example.has_image else told


def _told(text: str) -> str:
    return text.strip() or "(no answer)"


def _words(request: Request, reply: Reply) -> str:
    return reply.text
