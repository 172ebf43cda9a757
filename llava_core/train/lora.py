"""LoRA: small trainable matrices beside the frozen ones of the language model, through peft.

As in LLaVA: every linear layer of the decoder, the vocabulary head and the projector left alone. After a
training they are merged, so that its checkpoint is whole and needs neither peft nor a second folder to load.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from transformers import PreTrainedModel


@dataclass(frozen=True, kw_only=True, slots=True)
class LoraSettings:
    """Size of the adapters; LLaVA 1.5 trains with these values.

    References
    ----------
    Hu et al. (2022), LoRA: Low-Rank Adaptation of Large Language Models, equation 3.
    """

    rank: int = 128
    alpha: int = 256
    """Adapters are scaled by alpha / rank."""
    dropout_frac: float = 0.05
    """Share of an adapter's inputs that is dropped in training."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout_frac < 1:
            raise ValueError(
                f"got rank={self.rank}, alpha={self.alpha}, dropout_frac={self.dropout_frac}; "
                "allowed rank >= 1, alpha > 0, 0 <= dropout < 1"
            )


def linear_layers(llm: PreTrainedModel) -> list[str]:
    """Return the names of the decoder's linear layers."""
    return [f"model.{name}" for name, module in llm.model.named_modules() if isinstance(module, nn.Linear)]


@contextmanager
def adapters(
    llm: PreTrainedModel, settings: LoraSettings | None, *, seed: int, merge: bool
) -> Iterator[None]:
    """Put adapters into a language model for the block, and merge them at its regular end.

    Only the adapters learn inside; without settings the model is left as it is. ``merge`` is for the process
    that holds whole weights then.
    """
    if settings is None:
        yield
        return
    from peft import LoraConfig, LoraModel

    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout_frac,
        target_modules=linear_layers(llm),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wrapped = LoraModel(llm, config, "default")
    yield
    if merge:
        wrapped.merge_and_unload()
