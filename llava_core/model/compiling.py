"""Compiles the decoder with torch.compile, in parts that gradient checkpointing and FSDP leave whole."""

from torch import nn
from transformers import PreTrainedModel


def compiled_parts(llm: PreTrainedModel) -> list[nn.Module]:
    """Return what is compiled of a language model: norms, attention and MLP of each decoder layer.

    Not the layer: transformers checkpoints inside its call, and what torch.compile finds inside a checkpoint
    it takes whole or not at all, while the attention of packed rows is left as it is. Parts run inside the
    checkpoint, and what FSDP hooks onto the layer stays outside of them.
    """
    return [part for layer in llm.model.layers for part in layer.children()]


def compile_parts(llm: PreTrainedModel, *, backend: str = "inductor") -> None:
    """Have each part compiled when it is first called, once for rows of any length."""
    for part in compiled_parts(llm):
        part.compile(dynamic=True, backend=backend)
