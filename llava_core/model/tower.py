"""One pass through CLIP's vision tower, and what is read off it on the way.

Source: Hugging Face's ``CLIPVisionModel``: hidden state 0 is the embeddings behind the first layer norm, the
last one is the last layer's output without the final layer norm, which only the pooled CLS goes through.
Layers behind the last one that is asked for do not run. Left out: attention maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import CLIPVisionModel


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class TowerOutputs:
    """What one pass gives for some images."""

    features: Tensor
    """(images, n_patches, dim_vision), the hidden state that is read; CLS comes first where it stays."""
    pooled: Tensor | None
    """(images, dim_vision), CLS of the last layer behind the final layer norm, where asked for."""
    layer_means: Tensor
    """(images, n_layers, dim_vision), float32: means over the patches, without CLS, of the kept layers."""


@torch.no_grad()
def run_tower(
    tower: CLIPVisionModel,
    pixel_values: Tensor,
    *,
    layer: int,
    keep_cls: bool = False,
    pooled: bool = False,
    keep_layers: Sequence[int] = (),
) -> TowerOutputs:
    """Return what is asked for, from one pass that ends with the last layer that it needs.

    Parameters
    ----------
    tower : CLIPVisionModel
    pixel_values : Tensor
        (images, 3, height, width), moved to the tower's device and precision.
    layer : int
        Hidden state whose patches are returned; 0 is the embeddings, -1 the last layer's output.
    keep_cls : bool
        Whether CLS stays before the patches.
    pooled : bool
        Run all layers and return the pooled output too.
    keep_layers : sequence of int
        Hidden states whose means are returned, in this order.

    Raises
    ------
    IndexError
        If the tower has no such hidden state.
    """
    states = range(tower.config.num_hidden_layers + 1)
    read, kept = states[layer], [states[each] for each in keep_layers]
    last = states[-1] if pooled else max([read, *kept])
    weight = tower.embeddings.patch_embedding.weight
    hidden = tower.pre_layrnorm(tower.embeddings(pixel_values.to(weight.device, weight.dtype)))
    features, means = hidden, {}
    for state in states[: last + 1]:
        if state > 0:
            hidden = tower.encoder.layers[state - 1](hidden, None)
        if state == read:
            features = hidden
        if state in kept:
            means[state] = hidden[:, 1:].float().mean(1)
    rows = [means[state] for state in kept]
    return TowerOutputs(
        features=features if keep_cls else features[:, 1:],
        pooled=tower.post_layernorm(hidden[:, 0]) if pooled else None,
        layer_means=torch.stack(rows, 1) if rows else hidden.new_empty(len(hidden), 0, hidden.shape[-1]),
    )
