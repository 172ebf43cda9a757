"""Multiple-choice questions answered as JSON lines: what a model says and which option it finds likeliest.

The lines are those of `llava_core.inference.answer_file`, with the prompt, the option that the words name and
the likelihoods of all beside them. Left out: reading them, see `llava_core.evaluation.answers`.
"""

import json
from collections.abc import Callable, Sequence

from llava_core.checkpoint import LlavaBundle
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS
from llava_core.inference.answer_file import BATCHES_PER_WRITE, Tick, answer_row
from llava_core.inference.asking import question_turns
from llava_core.inference.decoding import Decoding
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.parse import parse_reply
from llava_core.inference.questions import Question
from llava_core.inference.replies import begin_replies, finish_replies


def as_questions(bundle: LlavaBundle, examples: Sequence[Example]) -> list[Question]:
    """Return what a model is asked, in words, as an answer file tells it."""
    return [
        Question(
            id=example.id,
            text=question_turns(bundle, example)[0].text,
            images=() if example.image is None else (str(example.image),),
        )
        for example in examples
    ]


def answer_choices(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    decoding: Decoding,
    *,
    settings: str,
    batch_size: int,
    tell: Callable[[Sequence[str]], None],
    progress: Tick,
) -> None:
    """Answer questions in order and hand on their JSON lines, some batches at a time.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
        An example whose image file is missing is asked without an image.
    decoding : Decoding
        From `llava_core.inference.replies.own_decoding`.
    settings : str
        From `llava_core.inference.answer_file.settings_key`; goes into each line.
    batch_size : int
        The answers do not depend on it.
    tell : callable
        Called with a list of lines.
    progress : callable
        Called with (questions done, questions in all).

    Raises
    ------
    InputError
        If an image cannot be read or a question is too long; lines handed on before stay good.
    """
    chunk_size = BATCHES_PER_WRITE * batch_size
    n_passes = 2 if PROMPTS[bundle.prompt].two_pass is None else 3
    for start in range(0, len(examples), chunk_size):
        chunk = examples[start : start + chunk_size]

        def tick(n_done: int, _: int, *, number: int, start: int = start, size: int = len(chunk)) -> None:
            progress(start + (number * size + n_done) // n_passes, len(examples))

        passes = [lambda done, total, n=n: tick(done, total, number=n) for n in range(n_passes)]
        begun = begin_replies(bundle, chunk, decoding, batch_size=batch_size, progress=passes[0])
        scores = option_logprobs(bundle, chunk, batch_size=batch_size, begun=begun, progress=passes[-2])
        texts = finish_replies(bundle, chunk, begun, decoding, batch_size=batch_size, progress=passes[-1])
        tell(
            [
                json.dumps(
                    answer_row(question, text, settings)
                    | {
                        "prompt": bundle.prompt,
                        "parsed": parse_reply(text, example.options, prompt=bundle.prompt),
                        "chosen": int(score.mean.argmax()),
                        "mean_logprob": [round(float(value), 4) for value in score.mean],
                    },
                    ensure_ascii=False,
                )
                for question, example, score, text in zip(
                    as_questions(bundle, chunk), chunk, scores, texts, strict=True
                )
            ]
        )
