"""Compiles the decoder with torch.compile, such that gradient checkpointing keeps what is gained."""

from torch import nn
from transformers import PreTrainedModel


def compiled_modules(llm: PreTrainedModel, *, checkpointing: bool) -> list[nn.Module]:
    """Return what is compiled of a language model: each decoder layer, or with checkpointing its parts.

    transformers checkpoints inside a layer's call, and what torch.compile finds inside a checkpoint it takes
    whole or not at all, while the attention of packed rows is left as it is. Norms, attention and MLP run
    inside the checkpoint.
    """
    layers = list(llm.model.layers)
    return [part for layer in layers for part in layer.children()] if checkpointing else layers


def compile_decoder(llm: PreTrainedModel, *, checkpointing: bool, backend: str = "inductor") -> None:
    """Have the decoder compiled when it is first called, once for rows of any length."""
    for module in compiled_modules(llm, checkpointing=checkpointing):
        module.compile(dynamic=True, backend=backend)
