"""What a judge is shown and how its scores are read.

One message, as published: the context, the question, the reference answer as Assistant 1, the candidate
as Assistant 2, and the rule of the question's category, at temperature 0.2 and at most 1,024 tokens. The
sentences are ours (``judge.toml``). A reply counts where its first line holds two numbers, commas read as
spaces; ours alone: both have to lie within 0 and 10, since one grade of 95 would outweigh a category.
"""

import hashlib
import json
import math
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from llava_core.backends.asking import Malformed
from llava_core.backends.chat import Message, Request
from llava_core.evaluation.llava_bench.questions import Comparison

TEMPERATURE = 0.2
MAX_TOKENS = 1024
LOWEST, HIGHEST = 0.0, 10.0


def judge_request(
    comparison: Comparison, *, swapped: bool = False, temperature: float = TEMPERATURE
) -> Request:
    """Return what the judge is asked about one question.

    Parameters
    ----------
    comparison : Comparison
    swapped : bool
        Show the candidate first, in place of the reference.
    temperature : float
        The published one if not given.
    """
    words, kind = wording(), comparison.context.kind
    first, second = comparison.reference.text, comparison.candidate.text
    if swapped:
        first, second = second, first
    category = comparison.question.category
    rule = "\n".join([words["context"][kind], words["criteria"][category], words["format"]["text"]])
    blocks = [
        f"[Context]\n{comparison.context.text}",
        f"[Question]\n{comparison.question.text}",
        f"[Assistant 1]\n{first}\n\n[End of Assistant 1]",
        f"[Assistant 2]\n{second}\n\n[End of Assistant 2]",
        f"[System]\n{rule}",
    ]
    return Request(
        id=f"{comparison.question.id}{' swapped' if swapped else ''}",
        messages=(
            Message(role="system", text=words["system"]),
            Message(role="user", text="\n\n".join(blocks)),
        ),
        temperature=temperature,
        max_tokens=MAX_TOKENS,
    )


def read_scores(text: str) -> tuple[float, float]:
    r"""Return the two scores of a judge's reply, in the order of the answers it was shown.

    Raises
    ------
    Malformed
        If the first line does not hold two numbers from 0 to 10 and nothing else.

    Examples
    --------
    >>> read_scores("8, 6.5\nBoth are right."), read_scores("7 9")
    ((8.0, 6.5), (7.0, 9.0))
    """
    line = text.split("\n", 1)[0]
    fields = line.replace(",", " ").split()
    if len(fields) != 2:
        raise Malformed(f"got {len(fields)} fields in the first line, expected two numbers: {line[:80]!r}")
    try:
        first, second = float(fields[0]), float(fields[1])
    except ValueError:
        raise Malformed(f"got no two numbers in the first line: {line[:80]!r}") from None
    if not all(math.isfinite(score) and LOWEST <= score <= HIGHEST for score in (first, second)):
        raise Malformed(f"got scores off the scale of {LOWEST:g} to {HIGHEST:g}: {line[:80]!r}")
    return first, second


@cache
def wording() -> Mapping[str, Any]:
    """Return the sentences of ``judge.toml``."""
    text = (files("llava_core.evaluation.llava_bench") / "judge.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def prompt_key(request: Request) -> str:
    """Return twelve signs that stand for all that the judge was shown."""
    told = json.dumps([[message.role, message.text] for message in request.messages])
    return hashlib.sha256(told.encode()).hexdigest()[:12]
