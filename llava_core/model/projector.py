"""What connects the vision tower to the language model: the kinds by name, and how a fresh one starts.

The matrix of the paper (section 4.1) and the MLP of LLaVA 1.5 (linear, GELU, linear), both with biases and
named as in the stock ``LlavaForConditionalGeneration``; identity; BLIP-2's queries and Flamingo's gated
cross-attention have modules of their own, and no stock class holds them. The linear projector can start from
statistics: projected patches have zero mean and the spread of the language model's own token embeddings, so
that a frozen language model is not flooded in the first steps. Left out: deeper MLPs.
"""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from llava_core.model.cross_attention import GatedCrossAttention
from llava_core.model.query_projector import QueryProjector


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


PROJECTORS: Mapping[str, Callable[..., nn.Module]] = {
    "linear": LinearProjector,
    "mlp2x_gelu": MlpProjector,
    "identity": IdentityProjector,
    "query": QueryProjector,
    "gated_cross_attention": GatedCrossAttention,
}
"""Projector kinds, where LLaVA has them by the names of its ``mm_projector_type``."""

STOCK_PROJECTORS = ("linear", "mlp2x_gelu", "identity")
"""Kinds that LLaVA has, and that the stock ``LlavaForConditionalGeneration`` can hold."""


def build_projector(
    kind: str,
    dim_vision: int,
    dim_llm: int,
    *,
    n_llm_layers: int | None = None,
    settings: Mapping[str, int] | None = None,
) -> nn.Module:
    """Return a fresh projector of a kind.

    Parameters
    ----------
    kind : str
        Key of `PROJECTORS`.
    dim_vision, dim_llm : int
    n_llm_layers : int, optional
        Layers of the language model, which gated cross-attention needs.
    settings : mapping of str to int, optional
        Of the kind, as `projector_settings` tells them; the defaults of the kind where not given.

    Raises
    ------
    ValueError
        If there is no such kind, it has no such settings, or the identity does not fit the dimensions.
    """
    if kind not in PROJECTORS:
        raise ValueError(f"got projector {kind!r}, allowed are {', '.join(PROJECTORS)}")
    wanted = dict(settings or {})
    if kind == "gated_cross_attention" and n_llm_layers is not None:
        wanted.setdefault("n_llm_layers", n_llm_layers)
    try:
        return PROJECTORS[kind](dim_vision, dim_llm, **wanted)
    except TypeError:
        raise ValueError(f"got settings {sorted(wanted)}, which projector {kind!r} does not take") from None


def projector_kind(projector: nn.Module) -> str:
    """Return the name of a projector's kind."""
    return next(name for name, kind in PROJECTORS.items() if type(projector) is kind)


def projector_settings(projector: nn.Module) -> dict[str, int]:
    """Return what `build_projector` needs beside kind and dimensions to build one of the same shape."""
    return projector.settings if isinstance(projector, QueryProjector | GatedCrossAttention) else {}


def n_tokens_of(projector: nn.Module, n_patches: int) -> int:
    """Return the image tokens of an image in the sequence: of gated cross-attention only the tag."""
    if isinstance(projector, QueryProjector):
        return projector.n_queries
    return 1 if isinstance(projector, GatedCrossAttention) else n_patches


def initialise(
    projector: nn.Module,
    features: Tensor,
    embeddings: Tensor,
    *,
    generator: torch.Generator,
) -> None:
    """Set a fresh projector; a linear one so that projected patches have the embeddings' mean and spread.

    Standardisation of the patch features is folded into the weights, so the projector stays one linear layer.
    An MLP starts from torch's own values, as in LLaVA 1.5. Queries and gated cross-attention standardise the
    patches the same way in their first layer; what the queries give has the embeddings' spread, the gates are
    closed.

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
    if isinstance(projector, LinearProjector):
        _standardise(projector.linear_1, features, _spread(embeddings), generator=generator)
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        if not isinstance(projector, QueryProjector | GatedCrossAttention):
            for layer in projector.children():
                cast(nn.Linear, layer).reset_parameters()
            return
        linear = projector.linear_1
        fresh = build_projector(
            projector_kind(projector),
            linear.in_features,
            linear.out_features,
            settings=projector_settings(projector),
        )
    projector.load_state_dict(fresh.state_dict())
    _standardise(linear, features, torch.ones(()), generator=generator)
    if isinstance(projector, QueryProjector):
        out = projector.linear_2
        with torch.no_grad():
            scale = _spread(embeddings) / out.in_features**0.5
            out.weight.copy_(torch.randn(out.weight.shape, generator=generator) * scale)
            out.bias.zero_()


def _spread(embeddings: Tensor) -> Tensor:
    return embeddings.detach().float().std()


def _standardise(linear: nn.Linear, features: Tensor, spread: Tensor, *, generator: torch.Generator) -> None:
    """Set a linear layer so that what it makes of the features has zero mean and this spread."""
    flat = features.detach().reshape(-1, features.shape[-1]).float()
    mean, std = flat.mean(0), flat.std(0).clamp_min(1e-4)
    scale = spread / flat.shape[-1] ** 0.5
    with torch.no_grad():
        weight = torch.randn(linear.weight.shape, generator=generator) * scale / std
        linear.weight.copy_(weight)
        linear.bias.copy_(-(weight @ mean))
