"""How the next token is chosen, and random draws that belong to a conversation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How an answer is written."""

    max_new_tokens: int = 512
    """Longest answer, tokens. It also ends where the language model's span does."""
    temperature: float = 0.0
    """0 takes the likeliest token; above 0, tokens are drawn from the logits divided by it."""
    top_p: float = 1.0
    """Draw only from the likeliest tokens that together have this probability, 0 (excluded) to 1."""
    seed: int = 0
    """Of the draws."""

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"got max_new_tokens={self.max_new_tokens}, allowed 1 or more")
        if not self.temperature >= 0:
            raise ValueError(f"got temperature={self.temperature}, allowed 0 or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"got top_p={self.top_p}, allowed above 0 and up to 1")


class GumbelNoise(LogitsProcessor):
    """Add noise to logits such that the largest one is a draw from their softmax.

    Each row has a generator of its own, seeded by its prompt, so that a conversation gets the same answer
    alone and in any batch, and torch's global random state is neither read nor changed.

    Parameters
    ----------
    prompts : sequence of sequence of int
        Token ids of each row.
    seed : int

    References
    ----------
    Gumbel-max: the argmax of logit - log(E), E exponential, has the softmax's probabilities.
    """

    def __init__(self, prompts: Sequence[Sequence[int]], seed: int) -> None:
        self.generators = [torch.Generator().manual_seed(_row_seed(prompt, seed)) for prompt in prompts]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return noisy logits (batch, vocabulary)."""
        noise = torch.empty(scores.shape, dtype=torch.float32)
        for row, generator in zip(noise, self.generators, strict=True):
            row.exponential_(generator=generator)
        return scores - noise.log().to(scores.device)


def logits_processors(decoding: Decoding, prompts: Sequence[Sequence[int]]) -> LogitsProcessorList:
    """Return what turns logits into scores whose largest is the next token."""
    if decoding.temperature == 0:
        return LogitsProcessorList()
    steps: list[LogitsProcessor] = [TemperatureLogitsWarper(decoding.temperature)]
    if decoding.top_p < 1:
        steps.append(TopPLogitsWarper(decoding.top_p))
    return LogitsProcessorList([*steps, GumbelNoise(prompts, decoding.seed)])


class EndOfSpan(StoppingCriteria):
    """Ends a row that has filled the positions of the language model.

    Parameters
    ----------
    n_left : sequence of int
        Length at which each row ends, as ``generate`` counts: prompts given as ids are counted, with their
        padding; prompts given as embeddings are not.
    """

    def __init__(self, n_left: Sequence[int]) -> None:
        self.n_left = torch.tensor(n_left)

    def __call__(self, input_ids: Tensor, scores: object, **_: object) -> Tensor:
        """Return which rows have ended, (batch,)."""
        return (input_ids.shape[1] >= self.n_left).to(input_ids.device)


def generation_config(
    decoding: Decoding,
    *,
    eos_token_id: int | list[int] | None,
    pad_token_id: int,
    stops: Sequence[str] = (),
) -> GenerationConfig:
    """Return transformers' settings, with every field set that a checkpoint's own could fill in.

    Draws are no part of it, see `logits_processors`.
    """
    return GenerationConfig(
        max_new_tokens=decoding.max_new_tokens,
        do_sample=False,
        num_beams=1,
        temperature=1.0,
        top_p=1.0,
        top_k=50,
        repetition_penalty=1.0,
        eos_token_id=eos_token_id,
        pad_token_id=pad_token_id,
        stop_strings=list(stops) or None,
    )


def _row_seed(prompt: Sequence[int], seed: int) -> int:
    told = f"{seed}:{','.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big") >> 1
