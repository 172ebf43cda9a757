"""Floating-point operations of a training step, counted from shapes: the numerator of the utilisation.

A product of an (a, b) and a (b, c) matrix is ``2 a b c`` operations. Counted are matrix products, and
causal attention at half a square; norms, activations and the optimiser are left out, as is usual. Backward
costs the forward once for the gradient of the inputs and once for that of the weights; a frozen language
model needs the first only (Kaplan et al. 2020, Scaling laws for neural language models, section 2.1, and the
utilisation of Chowdhery et al. 2022, PaLM, appendix B). With ``N`` the weights of the decoder layers, ``L``
their number, ``d`` the width, ``V`` the vocabulary, and a conversation of ``s`` tokens, ``l`` of them
supervised::

    forward    2 N s + 2 L s^2 d + 2 V d l                          head on supervised tokens only
    stage 1    2 (2 N s) + 3 (2 L s^2 d) + 2 (2 V d l) + 3 projector + CLIP
    stage 2    3 (2 N s + 2 L s^2 d + 2 V d l)         + 3 projector + CLIP

What gradient checkpointing computes again is no part of it; `recomputed` tells it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llava_core.model.llava import LlavaModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """What of a LLaVA decides its operations."""

    n_layers: int
    dim_llm: int
    """Also heads times the width of a head."""
    dim_kv: int
    """Heads of keys times the width of a head; less than ``dim_llm`` with grouped queries."""
    mlp_llm: int
    """Inner width of the gated MLP, which has three matrices."""
    vocab_size: int
    n_vision_layers: int
    """Layers of the tower that run: 23 of CLIP ViT-L/14's 24 for the hidden state that LLaVA reads."""
    dim_vision: int
    mlp_vision: int
    n_patches: int
    patch_values: int
    """Numbers in a patch of the picture, 3 x 14 x 14."""
    n_image_tokens: int
    n_projector: int
    """Weights of the projector's matrices."""


def shape_of(model: "LlavaModel") -> Shape:
    """Return the shape of a model; nothing of it runs, and it may be on the meta device.

    Raises
    ------
    ValueError
        If the parts are connected otherwise than by matrices on each patch, which is not counted here.
    """
    from llava_core.model.projector import PROJECTORS, STOCK_PROJECTORS

    # The stock class' own projector has no name here, and is made of matrices.
    not_counted = {kind: name for name, kind in PROJECTORS.items() if name not in STOCK_PROJECTORS}
    name = not_counted.get(type(model.projector))
    if name is not None:
        raise ValueError(f"got projector {name!r}, operations are counted for {', '.join(STOCK_PROJECTORS)}")
    llm, tower = model.llm.config, model.vision_tower.config
    dim_head = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    return Shape(
        n_layers=llm.num_hidden_layers,
        dim_llm=llm.hidden_size,
        dim_kv=dim_head * llm.num_key_value_heads,
        mlp_llm=llm.intermediate_size,
        vocab_size=llm.vocab_size,
        n_vision_layers=range(tower.num_hidden_layers + 1)[model.vision_layer],
        dim_vision=tower.hidden_size,
        mlp_vision=tower.intermediate_size,
        n_patches=(tower.image_size // tower.patch_size) ** 2,
        patch_values=tower.num_channels * tower.patch_size**2,
        n_image_tokens=model.n_image_tokens,
        n_projector=sum(p.numel() for p in model.projector.parameters() if p.ndim > 1),
    )


def n_decoder(shape: Shape) -> int:
    """Return the weights in the decoder's matrices, embeddings and head apart."""
    per_layer = 2 * shape.dim_llm * (shape.dim_llm + shape.dim_kv) + 3 * shape.dim_llm * shape.mlp_llm
    return shape.n_layers * per_layer


def body_forward(shape: Shape, n_tokens: int) -> int:
    """Return the operations of the decoder's matrices over ``n_tokens``."""
    return 2 * n_decoder(shape) * n_tokens


def attention_forward(shape: Shape, n_tokens: int) -> int:
    """Return the operations of causal attention in one conversation of ``n_tokens``."""
    return 2 * shape.n_layers * n_tokens**2 * shape.dim_llm


def head_forward(shape: Shape, n_positions: int) -> int:
    """Return the operations of the vocabulary head at ``n_positions``."""
    return 2 * shape.vocab_size * shape.dim_llm * n_positions


def llm_forward(shape: Shape, n_tokens: int, n_supervised: int) -> int:
    """Return the operations of the language model over one conversation, its head on supervised tokens."""
    body = body_forward(shape, n_tokens) + attention_forward(shape, n_tokens)
    return body + head_forward(shape, n_supervised)


def projector_forward(shape: Shape, n_images: int = 1) -> int:
    """Return the operations of the projector."""
    return 2 * shape.n_projector * shape.n_image_tokens * n_images


def clip_forward(shape: Shape, n_images: int = 1) -> int:
    """Return the operations of the vision tower: patches, and the layers that run, over patches and CLS."""
    tokens, dim = shape.n_patches + 1, shape.dim_vision
    matrices = 2 * tokens * (4 * dim**2 + 2 * dim * shape.mlp_vision)
    attention = 4 * tokens**2 * dim  # each token attends to all
    patches = 2 * shape.n_patches * shape.patch_values * dim
    return n_images * (shape.n_vision_layers * (matrices + attention) + patches)


def align_step(
    shape: Shape, n_tokens: int, n_supervised: int, *, n_images: int = 1, live: bool = True
) -> int:
    """Return the operations of stage 1 for one conversation: the projector learns, the rest is frozen.

    Parameters
    ----------
    shape : Shape
    n_tokens : int
        Image tokens included.
    n_supervised : int
    n_images : int
    live : bool
        Whether the vision tower runs; False where its features were kept.
    """
    language = (
        2 * body_forward(shape, n_tokens)
        + 3 * attention_forward(shape, n_tokens)
        + 2 * head_forward(shape, n_supervised)
    )
    return language + _vision(shape, n_images, live=live)


def finetune_step(
    shape: Shape, n_tokens: int, n_supervised: int, *, n_images: int = 1, live: bool = True
) -> int:
    """Return the operations of stage 2 for one conversation: projector and language model learn.

    Parameters are those of `align_step`.
    """
    return 3 * llm_forward(shape, n_tokens, n_supervised) + _vision(shape, n_images, live=live)


def recomputed(shape: Shape, n_tokens: int) -> int:
    """Return what gradient checkpointing of all decoder layers adds for one conversation."""
    return body_forward(shape, n_tokens) + attention_forward(shape, n_tokens)


def _vision(shape: Shape, n_images: int, *, live: bool) -> int:
    tower = clip_forward(shape, n_images) if live else 0
    return 3 * projector_forward(shape, n_images) + tower
