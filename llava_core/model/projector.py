"""From image patches to the language model's embedding space: linear, two-layer MLP, or identity.

The matrix of the paper (section 4.1) and the MLP of LLaVA 1.5 (linear, GELU, linear); all layers have a bias.
Layers are named as in the stock ``LlavaForConditionalGeneration``. The linear projector can start from
statistics: projected patches have zero mean and the spread of the language model's own token embeddings, so
that a frozen language model is not flooded in the first steps. Left out: deeper MLPs and resamplers.
"""

from collections.abc import Callable, Mapping
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


class MlpProjector(nn.Module):
    """Linear, GELU, linear: ``mlp2x_gelu`` of LLaVA 1.5."""

    def __init__(self, dim_vision: int, dim_llm: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(dim_vision, dim_llm)
        self.linear_2 = nn.Linear(dim_llm, dim_llm)

    def forward(self, features: Tensor) -> Tensor:
        """Return patches in the embedding space of the language model."""
        return cast(Tensor, self.linear_2(nn.functional.gelu(self.linear_1(features))))


class IdentityProjector(nn.Module):
    """Patches as they are, for a vision tower as wide as the language model."""

    def __init__(self, dim_vision: int, dim_llm: int) -> None:
        super().__init__()
        if dim_vision != dim_llm:
            raise ValueError(
                f"got patches of {dim_vision} and embeddings of {dim_llm} dimensions, "
                "the identity projector needs equal ones"
            )

    def forward(self, features: Tensor) -> Tensor:
        """Return the patches."""
        return features


PROJECTORS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "linear": LinearProjector,
    "mlp2x_gelu": MlpProjector,
    "identity": IdentityProjector,
}
"""Projector kinds, by the names of LLaVA's ``mm_projector_type``."""


def build_projector(kind: str, dim_vision: int, dim_llm: int) -> nn.Module:
    """Return a fresh projector of a kind.

    Raises
    ------
    ValueError
        If there is no such kind, or the identity does not fit the dimensions.
    """
    if kind not in PROJECTORS:
        raise ValueError(f"got projector {kind!r}, allowed are {', '.join(PROJECTORS)}")
    return PROJECTORS[kind](dim_vision, dim_llm)


def projector_kind(projector: nn.Module) -> str:
    """Return the name of a projector's kind."""
    return next(name for name, kind in PROJECTORS.items() if type(projector) is kind)


def initialise(
    projector: nn.Module,
    features: Tensor,
    embeddings: Tensor,
    *,
    generator: torch.Generator,
) -> None:
    """Set a fresh projector; a linear one so that projected patches have the embeddings' mean and spread.

    Standardisation of the patch features is folded into the weights, so the projector stays one linear layer.
    An MLP starts from torch's own values, as in LLaVA 1.5.

    Parameters
    ----------
    projector : Module
        Changed in place.
    features : Tensor
        A sample of patch features.
    embeddings : Tensor
        Token embeddings of the language model.
    generator : torch.Generator
    """
    if not isinstance(projector, LinearProjector):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(generator.initial_seed())
            for layer in projector.children():
                cast(nn.Linear, layer).reset_parameters()
        return
    linear = projector.linear_1
    flat = features.detach().reshape(-1, features.shape[-1]).float()
    mean, std = flat.mean(0), flat.std(0).clamp_min(1e-4)
    scale = embeddings.detach().float().std() / flat.shape[-1] ** 0.5
    with torch.no_grad():
        weight = torch.randn(linear.weight.shape, generator=generator) * scale / std
        linear.weight.copy_(weight)
        linear.bias.copy_(-(weight @ mean))
