"""How the next token is chosen, and random draws that belong to a conversation."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper


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


def _row_seed(prompt: Sequence[int], seed: int) -> int:
    told = f"{seed}:{','.join(map(str, prompt))}"
    return int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "big") >> 1
