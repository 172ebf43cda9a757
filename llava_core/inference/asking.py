"""How a model is asked multiple-choice questions: token ids, and batches that fit into memory.

A batch is a run of questions whose prompts are of similar length. It ends at `BATCH_SIZE` questions, or
before its keys and values (the prompt's, and a copy per option) and its logits would take more than
`BATCH_BYTES`: so a small model gets whole batches and a 7B a few questions at a time. The batches depend on
the questions and the model only, not on the machine.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from llava_core.checkpoint import LlavaBundle
from llava_core.data.conversation import Turn, encode_answers
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS, prompted_turns
from llava_core.errors import InputError

Vision = Callable[[Sequence[Any]], Tensor]
"""Gives patch features (images, n_patches, dim_vision) of images, on the model's device."""
BATCH_SIZE = 48
BATCH_BYTES = 8 << 30
WORK_BYTES = 150e6
"""What torch loads and buffers on a CPU, whatever the batch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Token ids of one question."""

    prompt_ids: tuple[int, ...]
    option_ids: tuple[tuple[int, ...], ...]
    """Of each option as an answer, with all that training would supervise of it."""


def ask(bundle: LlavaBundle, example: Example, *, begun: str = "") -> Asked:
    """Return the token ids of a question, asked as the bundle is asked.

    Parameters
    ----------
    bundle : LlavaBundle
    example : Example
    begun : str
        What the assistant has said already, see `llava_core.inference.two_pass`.

    Raises
    ------
    InputError
        If question and longest option are longer than the language model's span.
    """
    prompt = PROMPTS[bundle.prompt]
    prompt_ids, option_ids = encode_answers(
        question_turns(bundle, example),
        prompt.scored(example),
        bundle.tokenizer,
        bundle.template,
        bundle.n_image_tokens,
        begun=begun,
    )
    n_tokens = len(prompt_ids) + max(map(len, option_ids))
    span = int(bundle.model.llm.config.max_position_embeddings)
    if n_tokens > span:
        raise InputError(
            f"got {n_tokens} tokens with the longest option, allowed is the language model's span of {span}",
            record=example.id,
            field="question",
        )
    return Asked(prompt_ids=prompt_ids, option_ids=tuple(option_ids))


def question_turns(bundle: LlavaBundle, example: Example) -> list[Turn]:
    """Return the open conversation of a question: without an image where the file is missing."""
    shown = replace(example, has_image=example.image is not None)
    return prompted_turns(shown, PROMPTS[bundle.prompt], answered=False)


def question_batches(
    bundle: LlavaBundle, asked: Sequence[Asked], *, batch_size: int = BATCH_SIZE, n_more_tokens: int = 0
) -> list[list[int]]:
    """Return batches of positions in ``asked``, each position once, prompts of similar length together.

    Parameters
    ----------
    bundle : LlavaBundle
    asked : sequence of Asked
    batch_size : int
        Questions per batch at most.
    n_more_tokens : int
        Room for what the assistant will have said before its options are scored.
    """
    cache_bytes, logit_bytes = _bytes_per_token(bundle)
    order = sorted(range(len(asked)), key=lambda row: len(asked[row].prompt_ids))
    batches: list[list[int]] = []
    n_options = longest = 0
    for row in order:
        options = asked[row].option_ids
        if batches:
            rows, width = n_options + len(options), max(longest, *map(len, options))
            copies = len(batches[-1]) + 1 + rows
            n_tokens = len(asked[row].prompt_ids) + n_more_tokens
            bytes_ = copies * n_tokens * cache_bytes + rows * width * logit_bytes
            if len(batches[-1]) < batch_size and bytes_ <= BATCH_BYTES:
                batches[-1].append(row)
                n_options, longest = rows, width
                continue
        batches.append([row])
        n_options, longest = len(options), max(map(len, options))
    return batches


def asking_bytes(
    bundle: LlavaBundle, examples: Sequence[Example], *, batch_size: int = BATCH_SIZE, n_more_tokens: int = 0
) -> float:
    """Return the main memory that asking takes at most on a CPU, the model itself left out.

    Twice the keys, values and logits of the largest batch, for what is computed on the way, and `WORK_BYTES`.

    Parameters
    ----------
    bundle : LlavaBundle
    examples : sequence of Example
    batch_size, n_more_tokens : int
        As for `question_batches`.

    Raises
    ------
    InputError
        If a question is longer than the language model's span.
    """
    cache_bytes, logit_bytes = _bytes_per_token(bundle)
    asked = [ask(bundle, example) for example in examples]
    most = 0
    for batch in question_batches(bundle, asked, batch_size=batch_size, n_more_tokens=n_more_tokens):
        options = [option for row in batch for option in asked[row].option_ids]
        n_tokens = max(len(asked[row].prompt_ids) for row in batch) + n_more_tokens
        copies = len(batch) + len(options)
        most = max(
            most, copies * n_tokens * cache_bytes + len(options) * max(map(len, options)) * logit_bytes
        )
    return 2 * most + WORK_BYTES


def run_batches(
    batches: Sequence[Sequence[int]],
    run: Callable[[Sequence[int]], None],
    *,
    progress: Callable[[int], None],
) -> int:
    """Run batches; one that does not fit the GPU's memory is run in halves, and so are those behind it.

    Parameters
    ----------
    batches : sequence of sequence of int
    run : callable
        Does a batch, or raises ``torch.OutOfMemoryError``.
    progress : callable
        Called with the number of questions done.

    Returns
    -------
    int
        How often batches had to be halved.

    Raises
    ------
    torch.OutOfMemoryError
        If a single question does not fit.
    """
    n_done = n_halved = 0
    most = max(map(len, batches), default=1)
    waiting = [list(batch) for batch in reversed(batches)]
    while waiting:
        batch = waiting.pop()
        if len(batch) > most:
            waiting += [batch[most:], batch[:most]]
            continue
        try:
            run(batch)
        except torch.OutOfMemoryError:
            if len(batch) == 1:
                raise
            most = (len(batch) + 1) // 2
            n_halved += 1
            waiting.append(batch)
        else:
            n_done += len(batch)
            progress(n_done)
            continue
        # Outside the handler: the error holds the tensors of the failed batch.
        torch.cuda.empty_cache()
    return n_halved


def left_padded(rows: Sequence[Sequence[int]], pad_token_id: int) -> tuple[Tensor, Tensor]:
    """Return ids and mask, (batch, tokens), padded on the left."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), pad_token_id)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for k, row in enumerate(rows):
        ids[k, width - len(row) :] = torch.tensor(row)
        mask[k, width - len(row) :] = 1
    return ids, mask


def _bytes_per_token(bundle: LlavaBundle) -> tuple[int, int]:
    """Return the bytes of keys and values of a token, and those of its logits with their float32 softmax."""
    config = bundle.model.llm.config
    n_heads = config.num_attention_heads
    width = (getattr(config, "head_dim", None) or config.hidden_size // n_heads) * (
        getattr(config, "num_key_value_heads", None) or n_heads
    )
    itemsize = bundle.model.llm.get_input_embeddings().weight.element_size()
    return 2 * config.num_hidden_layers * width * itemsize, config.vocab_size * (itemsize + 8)
