"""Gated cross-attention: the language model looks at the patches from between its layers.

Source: Flamingo (Alayrac et al. 2022, sections 2.2 and 2.3). Before a layer of the language model stands a
block of cross-attention from the text to the patches and a feed-forward network, each behind ``tanh`` of a
gate that starts at 0, so that an untrained connection leaves the language model as it was. No patch stands in
the sequence: one image token per image does, Flamingo's tag, which says where the image belongs and holds
nothing of it. A token looks at the last image at or before it in its conversation.

Left out: the perceiver resampler (patches are brought to the language model's width by one linear layer and a
norm), and keeping the patches' keys and values while an answer is written (each token computes them anew). A
departure: a token before any image passes the feed-forward network by too, so that questions without image
get exactly what the language model says.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from llava_core.model.query_projector import n_heads

SIGHT = "sight"
"""Name under which a `Sight` travels through the language model to its layers."""


class GatedBlock(nn.Module):
    """Cross-attention and a feed-forward network, each behind a gate that starts closed."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(dim)
        self.attention = nn.MultiheadAttention(dim, n_heads(dim), bias=False, batch_first=True)
        # Of one dimension rather than none: FSDP shares out the first.
        self.attention_gate = nn.Parameter(torch.zeros(1))
        self.norm_2 = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 4 * dim, bias=False)
        self.down = nn.Linear(4 * dim, dim, bias=False)
        self.mlp_gate = nn.Parameter(torch.zeros(1))

    def forward(self, states: Tensor, sight: "Sight") -> Tensor:
        """Return the states (tokens that see an image, dim_llm) after a look at the patches."""
        normed = self.norm_1(states)
        rows = normed.new_zeros(len(sight.keys), sight.width, normed.shape[-1])
        rows = rows.index_put((sight.image, sight.place), normed)
        looked, _ = self.attention(rows, sight.keys, sight.keys, need_weights=False)
        states = states + self.attention_gate.tanh() * looked[sight.image, sight.place]
        thought = self.down(nn.functional.gelu(self.up(self.norm_2(states))))
        after: Tensor = states + self.mlp_gate.tanh() * thought
        return after


class GatedCrossAttention(nn.Module):
    """Patches in the language model's width, and the blocks before its layers that look at them.

    Parameters
    ----------
    dim_vision, dim_llm : int
    n_llm_layers : int
        Layers of the language model.
    every_n_layers : int
        A block stands before the first layer, and before each so many further on.

    References
    ----------
    Alayrac et al. (2022), Flamingo: a Visual Language Model for Few-Shot Learning, section 2.2 and figure 4.
    """

    def __init__(self, dim_vision: int, dim_llm: int, *, n_llm_layers: int, every_n_layers: int = 1) -> None:
        super().__init__()
        if n_llm_layers < 1 or every_n_layers < 1:
            raise ValueError(
                f"got n_llm_layers={n_llm_layers}, every_n_layers={every_n_layers}, allowed 1 or more"
            )
        self.n_llm_layers, self.every_n_layers = n_llm_layers, every_n_layers
        self.linear_1 = nn.Linear(dim_vision, dim_llm)
        self.patch_norm = nn.LayerNorm(dim_llm)
        self.blocks = nn.ModuleList(GatedBlock(dim_llm) for _ in range(-(-n_llm_layers // every_n_layers)))

    @property
    def settings(self) -> dict[str, int]:
        """What a fresh one of the same shape is built with, dimensions apart."""
        return {"n_llm_layers": self.n_llm_layers, "every_n_layers": self.every_n_layers}

    def forward(self, features: Tensor) -> Tensor:
        """Return what the blocks look at, (images, patches, dim_llm)."""
        keys: Tensor = self.patch_norm(self.linear_1(features))
        return keys

    def block_before(self, layer: int) -> nn.Module | None:
        """Return the block before a layer of the language model, or None."""
        return self.blocks[layer // self.every_n_layers] if layer % self.every_n_layers == 0 else None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Sight:
    """Which tokens see which image."""

    connector: GatedCrossAttention
    keys: Tensor
    """(images, patches, dim_llm) from the connector."""
    last: Tensor
    """(batch,) image that what follows a row sees, -1 for none."""
    seeing: Tensor
    """(n,) places of the tokens that see an image, in the flattened (batch, tokens)."""
    image: Tensor
    """(n,) image that each sees."""
    place: Tensor
    """(n,) rank of each among those that see the same image."""
    width: int
    """Most tokens that see one image."""

    def continued(self, n_tokens: int, rows: Tensor | None = None) -> "Sight":
        """Return the sight of ``n_tokens`` more tokens of the rows, or of a choice of them."""
        last = self.last if rows is None else self.last[rows]
        image = last[:, None].expand(-1, n_tokens)
        return replace(self, last=last, **_grouped(image, len(self.keys)))


def sight_of(connector: GatedCrossAttention, keys: Tensor, image: Tensor) -> Sight:
    """Return the sight of a batch.

    Parameters
    ----------
    connector : GatedCrossAttention
    keys : Tensor
        (images, patches, dim_llm)
    image : Tensor
        (batch, tokens) from `images_seen`.
    """
    return Sight(connector=connector, keys=keys, last=image[:, -1], **_grouped(image, len(keys)))


def images_seen(is_tag: Tensor, *, is_token: Tensor | None, lengths: tuple[int, ...] | None) -> Tensor:
    """Return which image each token sees, counted over the batch in reading order; -1 for none.

    Parameters
    ----------
    is_tag : Tensor
        (batch, tokens), true where an image token stands.
    is_token : Tensor or None
        (batch, tokens), 0 for padding, which sees nothing.
    lengths : tuple of int or None
        Of the conversations in a packed row.

    Examples
    --------
    >>> images_seen(torch.tensor([[0, 1, 0, 1], [0, 0, 1, 0]]) > 0, is_token=None, lengths=None).tolist()
    [[-1, 0, 0, 1], [-1, -1, 2, 2]]
    >>> images_seen(torch.tensor([[1, 0, 0, 1]]) > 0, is_token=None, lengths=(2, 2)).tolist()
    [[0, 0, -1, 1]]
    """
    so_far = is_tag.flatten().cumsum(0)
    if lengths is None:
        lengths = (is_tag.shape[1],) * len(is_tag)
    sizes = torch.tensor(lengths, device=is_tag.device)
    starts = sizes.cumsum(0) - sizes
    before = (so_far - is_tag.flatten().long())[starts].repeat_interleave(sizes)
    image = torch.where(so_far > before, so_far - 1, -1).view(is_tag.shape)
    return image if is_token is None else image.masked_fill(is_token == 0, -1)


def let_see(llm: PreTrainedModel) -> None:
    """Have the layers of a language model look at what a `Sight` shows; without one they are as before."""
    for index, layer in enumerate(llm.model.layers):
        layer.register_forward_pre_hook(partial(_look, index), with_kwargs=True)


@contextmanager
def seeing(llm: PreTrainedModel, sight: Sight | None) -> Iterator[None]:
    """Show images to a language model that writes: first to the prompt, then to each new token."""
    if sight is None:
        yield
        return

    def show(decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert sight is not None
        is_prompt = kwargs["cache"].get_seq_length() == 0
        embeddings = kwargs.get("inputs_embeds")
        new: Tensor = kwargs["input_ids"] if embeddings is None else embeddings
        return args, kwargs | {SIGHT: sight if is_prompt else sight.continued(new.shape[1])}

    handle = llm.model.register_forward_pre_hook(show, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@torch.compiler.disable  # type: ignore[untyped-decorator]
def _look(index: int, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the block before a layer; called by torch with what the layer is called with."""
    kwargs = dict(kwargs)
    sight: Sight | None = kwargs.pop(SIGHT, None)
    block = None if sight is None else sight.connector.block_before(index)
    if sight is None or block is None:
        return args, kwargs
    hidden: Tensor = args[0]
    flat = hidden.flatten(0, 1)
    looked = block(flat[sight.seeing], sight)
    return (flat.index_copy(0, sight.seeing, looked.to(flat.dtype)).view_as(hidden), *args[1:]), kwargs


def _grouped(image: Tensor, n_images: int) -> dict[str, Any]:
    """Return the tokens that see an image, and where each stands among those that see the same one."""
    flat = image.flatten()
    seeing = (flat >= 0).nonzero()[:, 0]
    of = flat[seeing]
    sizes = torch.bincount(of, minlength=n_images)
    order = of.argsort(stable=True)
    starts = sizes.cumsum(0) - sizes
    place = torch.empty_like(of)
    place[order] = torch.arange(len(of), device=of.device) - starts[of[order]]
    return {
        "seeing": seeing,
        "image": of,
        "place": place,
        "width": int(sizes.max()) if len(of) else 0,
    }
