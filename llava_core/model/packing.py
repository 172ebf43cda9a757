"""Attention within the conversations of a packed row: block-diagonal, and never computed across a border.

Several conversations stand one behind the other in one row; a token attends to its own conversation only.
transformers would express this as a mask of tokens by tokens; here the row is cut at the borders instead,
so that neither memory nor time is spent on what the mask would throw away. On a GPU in half precision one
kernel of torch does all conversations (``varlen_attn``), elsewhere each is one call of torch's attention.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel

NAME = "llava_packed"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Borders:
    """Where the conversations of a packed row begin and end.

    One object, so that compiled layers hand it on without looking inside: they would otherwise be compiled
    anew for every row.
    """

    ends: Tensor
    """(conversations + 1,) int32, 0 and where each conversation ends, on the device of the row."""
    lengths: tuple[int, ...]


@torch.compiler.disable  # type: ignore[untyped-decorator]
def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    *,
    borders: Borders,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Return causal attention inside each conversation of a packed row, as transformers calls for it.

    Parameters
    ----------
    module : Module
        The attention layer; unused.
    query, key, value : Tensor
        (1, heads, tokens, dim_head); keys and values may have fewer heads than queries.
    attention_mask : None
        A packed row has no padding.
    scaling : float, optional
        Factor on the scores.
    dropout : float
        Not supported above 0.
    borders : Borders

    Returns
    -------
    output : Tensor
        (1, tokens, heads, dim_head)
    weights : None
    """
    grouped = query.shape[1] != key.shape[1]
    if query.is_cuda and query.dtype in (torch.float16, torch.bfloat16):
        from torch.nn.attention.varlen import varlen_attn

        longest = max(borders.lengths)
        q, k, v = (tensor[0].transpose(0, 1).contiguous() for tensor in (query, key, value))
        also: dict[str, Any] = {}
        if grouped and "enable_gqa" in signature(varlen_attn).parameters:
            also["enable_gqa"] = True
        elif grouped:  # the kernel of torch 2.11 wants as many keys as queries
            k, v = (tensor.repeat_interleave(q.shape[1] // k.shape[1], 1) for tensor in (k, v))
        output = varlen_attn(
            q,
            k,
            v,
            borders.ends,
            borders.ends,
            longest,
            longest,
            scale=scaling,
            window_size=(-1, 0),
            **also,
        )
        assert isinstance(output, Tensor), "without aux there is the output alone"
        return output[None], None
    cut = [torch.split(tensor, list(borders.lengths), 2) for tensor in (query, key, value)]
    parts = [
        nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=grouped)
        for q, k, v in zip(*cut, strict=True)
    ]
    return torch.cat(parts, 2).transpose(1, 2).contiguous(), None


def _no_mask(*args: Any, **kwargs: Any) -> None:
    """Keep transformers from building the mask that the borders make needless."""


AttentionInterface.register(NAME, packed_attention)
AttentionMaskInterface.register(NAME, _no_mask)


@contextmanager
def packed(llm: PreTrainedModel) -> Iterator[None]:
    """Let a language model read packed rows inside the block."""
    before = llm.config._attn_implementation
    llm.set_attn_implementation(NAME)
    try:
        yield
    finally:
        llm.set_attn_implementation(before)


def pack_arguments(lengths: tuple[int, ...], device: torch.device) -> dict[str, Any]:
    """Return what a language model needs beside the ids to read a packed row of these conversations."""
    ends = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    positions = torch.cat([torch.arange(length) for length in lengths])
    return {
        "position_ids": positions[None].to(device, non_blocking=True),
        "borders": Borders(ends=ends.to(device, non_blocking=True), lengths=lengths),
    }
