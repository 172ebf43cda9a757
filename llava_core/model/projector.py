"""From image patches to the language model's embedding space: LLaVA's linear projector.

The matrix of the paper (section 4.1), one linear layer with bias. It starts from statistics: projected
patches have zero mean and the spread of the language model's own token embeddings, so that a frozen
language model is not flooded in the first steps. Left out: the two-layer MLP of LLaVA 1.5.
"""

from typing import cast

import torch
from torch import Tensor, nn


class LinearProjector(nn.Module):
    """One linear map, named as the first layer of the stock ``LlavaForConditionalGeneration`` projector."""

    def __init__(self, dim_vision: int, dim_llm: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(dim_vision, dim_llm)

    def forward(self, features: Tensor) -> Tensor:
        """Return patches in the embedding space of the language model."""
        return cast(Tensor, self.linear_1(features))


def initialise(
    projector: LinearProjector,
    features: Tensor,
    embeddings: Tensor,
    *,
    generator: torch.Generator,
) -> None:
    """Set the projector so that projected ``features`` have zero mean and the spread of ``embeddings``.

    Standardisation of the patch features is folded into the weights, so the projector stays one linear layer.

    Parameters
    ----------
    projector : LinearProjector
        Changed in place.
    features : Tensor
        A sample of patch features.
    embeddings : Tensor
        Token embeddings of the language model.
    generator : torch.Generator
    """
    linear = projector.linear_1
    flat = features.detach().reshape(-1, features.shape[-1]).float()
    mean, std = flat.mean(0), flat.std(0).clamp_min(1e-4)
    scale = embeddings.detach().float().std() / flat.shape[-1] ** 0.5
    with torch.no_grad():
        weight = torch.randn(linear.weight.shape, generator=generator) * scale / std
        linear.weight.copy_(weight)
        linear.bias.copy_(-(weight @ mean))
