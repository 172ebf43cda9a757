"""Pre-training of the tiny language model on texts, among them questions about pictures told in words.

It plays Vicuna, a language model that already follows instructions: documents are captions, plain texts, and
conversations in which a caption stands where stage 2 will put an image. Answers weigh more than the rest of
a document, and the options are listed in another order every time, so that the model has to look at the
context instead of remembering. One document per row, many small steps. Left out: packing of several
documents into one row.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from llava_core.data.collate import length_grouped_batches, pad_batch
from llava_core.data.conversation import DESCRIBE, IGNORE_INDEX, Encoded, Turn, encode, question_prompt
from llava_core.data.example import Example
from llava_core.data.template import MINI_PLAIN, Template
from llava_core.train.loop import OptimConfig, Progress, Trace, epochs, gradients, make_optimizer, optimise


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageConfig:
    """Pre-training of the language model."""

    n_steps: int
    batch_size: int
    """Documents per step."""
    optim: OptimConfig
    answer_weight: float = 10.0
    """Weight of an answer token; tokens of the prompt weigh 1."""
    plain_prob: float = 0.2
    """Chance per epoch that a caption is also read as a document of its own."""
    describe_prob: float = 0.15
    """Chance per epoch that a caption is also read and to be repeated."""
    text_prob: float = 0.5
    """Chance per epoch that a text-only document is read."""
    max_tokens: int = 256


def pretrain_llm(
    llm: LlamaForCausalLM,
    examples: Sequence[Example],
    texts: Sequence[str | tuple[str, str]],
    config: LanguageConfig,
    *,
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
    seed: int,
    progress: Progress | None = None,
) -> Trace:
    """Train ``llm`` in place.

    Parameters
    ----------
    llm : LlamaForCausalLM
    examples : sequence of Example
        Questions; those with an image need a caption, which stands in for it.
    texts : sequence of str or (question, answer)
        Text-only documents.
    config : LanguageConfig
    tokenizer : PreTrainedTokenizerFast
    template : Template
        Of the conversations.
    seed : int
        Of mixture, option order and batches.
    progress : callable, optional

    Returns
    -------
    Trace
    """
    rng = np.random.default_rng(seed)
    llm.requires_grad_(True).train()

    def batches(_: int) -> Iterator[list[Encoded]]:
        drawn = list(documents(examples, texts, config, tokenizer=tokenizer, template=template, rng=rng))
        lengths = [len(document.input_ids) for document in drawn]
        for rows in length_grouped_batches(lengths, config.batch_size, rng):
            yield [drawn[row] for row in rows]

    def loss_of(batch: list[Encoded]) -> Tensor:
        input_ids, mask, labels = pad_batch(batch, int(tokenizer.pad_token_id))
        # Padding is on the right, so the causal mask alone keeps it out of every real token's sight.
        logits = llm(input_ids=input_ids, use_cache=False).logits[:, :-1]
        weight = torch.where(labels[:, 1:] == IGNORE_INDEX, 1.0, config.answer_weight) * mask[:, 1:]
        each = nn.functional.cross_entropy(logits.flatten(0, 1), input_ids[:, 1:].flatten(), reduction="none")
        return (each * weight.flatten()).sum() / weight.sum()

    parameters = list(llm.parameters())
    trace = optimise(
        parameters,
        make_optimizer(parameters, config.optim),
        epochs(batches, config.n_steps),
        gradients(loss_of),
        n_steps=config.n_steps,
        config=config.optim,
        progress=progress,
    )
    llm.eval()
    return trace


def told_turns(example: Example, *, option_order: Sequence[int] | None = None) -> list[Turn]:
    """Return the human turn of a question whose image is told by its caption."""
    prompt = question_prompt(example, option_order=option_order)
    told = f"{example.caption}\n{prompt}" if example.has_image and example.caption else prompt
    return [Turn(role="human", text=told)]


def documents(
    examples: Sequence[Example],
    texts: Sequence[str | tuple[str, str]],
    config: LanguageConfig,
    *,
    tokenizer: PreTrainedTokenizerFast,
    template: Template,
    rng: np.random.Generator,
) -> Iterable[Encoded]:
    """Yield the documents of one epoch, encoded; answers are labelled, the rest is not."""

    def encoded(turns: Sequence[Turn], chosen: Template = template) -> Encoded:
        return encode(turns, tokenizer, chosen, 0, max_tokens=config.max_tokens)

    def plain(text: str) -> Encoded:
        document = encoded([Turn(role="human", text=""), Turn(role="assistant", text=text)], MINI_PLAIN)
        return Encoded(input_ids=document.input_ids, labels=(IGNORE_INDEX,) * len(document.labels))

    for example in examples:
        if example.answer is None:
            continue
        order = rng.permutation(len(example.options)).tolist()
        answer = Turn(role="assistant", text=example.options[example.answer])
        yield encoded([*told_turns(example, option_order=order), answer])
        if example.caption and rng.random() < config.plain_prob:
            yield plain(example.caption)
        if example.caption and rng.random() < config.describe_prob:
            ask = DESCRIBE[rng.integers(len(DESCRIBE))]
            yield encoded(
                [
                    Turn(role="human", text=f"{example.caption}\n{ask}"),
                    Turn(role="assistant", text=example.caption),
                ]
            )
    for text in texts:
        if rng.random() >= config.text_prob:
            continue
        if isinstance(text, str):
            yield plain(text)
        else:
            yield encoded([Turn(role="human", text=text[0]), Turn(role="assistant", text=text[1])])
