"""A query projector: learned queries look at the patches, and stand in the sequence in their place.

Source: the Q-Former of BLIP-2 (Li et al. 2023, section 3.1): a fixed number of learned query vectors passes
through layers of self-attention among the queries, cross-attention to the frozen image features, and a
feed-forward network; a linear layer brings the result to the language model's width. However many patches
there are, the language model reads ``n_queries`` image tokens.

Left out: BERT's weights as a start (ours are random), cross-attention in every other layer only (ours has it
in each), the text that the Q-Former may read beside the queries, and BLIP-2's first stage with its three
losses. Norms stand before each part rather than behind it, which trains without a long warm-up.
"""

import torch
from torch import Tensor, nn

DIM_HEAD = 64
"""Width of an attention head, where the width of the model allows it."""


class QueryProjector(nn.Module):
    """Learned queries that attend to each other and to the patches.

    Parameters
    ----------
    dim_vision, dim_llm : int
        The queries are as wide as the language model.
    n_queries : int
        Image tokens that the language model reads; BLIP-2 has 32.
    n_layers : int
        Layers of self-attention, cross-attention and feed-forward network; BLIP-2 has 12.

    References
    ----------
    Li et al. (2023), BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and Large
    Language Models, section 3.1.

    Examples
    --------
    >>> QueryProjector(8, 16, n_queries=3)(torch.zeros(2, 25, 8)).shape
    torch.Size([2, 3, 16])
    """

    def __init__(self, dim_vision: int, dim_llm: int, *, n_queries: int = 32, n_layers: int = 2) -> None:
        super().__init__()
        if n_queries < 1 or n_layers < 1:
            raise ValueError(f"got n_queries={n_queries}, n_layers={n_layers}, allowed 1 or more")
        self.linear_1 = nn.Linear(dim_vision, dim_llm)
        self.patch_norm = nn.LayerNorm(dim_llm)
        self.queries = nn.Parameter(torch.randn(n_queries, dim_llm))
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                dim_llm,
                n_heads(dim_llm),
                4 * dim_llm,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(dim_llm)
        self.linear_2 = nn.Linear(dim_llm, dim_llm)

    @property
    def n_queries(self) -> int:
        """Image tokens per image."""
        return len(self.queries)

    @property
    def settings(self) -> dict[str, int]:
        """What a fresh one of the same shape is built with, dimensions apart."""
        return {"n_queries": self.n_queries, "n_layers": len(self.layers)}

    def forward(self, features: Tensor) -> Tensor:
        """Return image tokens (images, n_queries, dim_llm) of patches (images, patches, dim_vision)."""
        patches = self.patch_norm(self.linear_1(features))
        states = self.queries.expand(len(features), -1, -1)
        for layer in self.layers:
            states = layer(states, patches)
        projected: Tensor = self.linear_2(self.norm(states))
        return projected


def n_heads(dim: int) -> int:
    """Return the number of attention heads of a width: of `DIM_HEAD` each, or wider where that is no divisor.

    Examples
    --------
    >>> n_heads(768), n_heads(24), n_heads(200)
    (12, 1, 2)
    """
    return next(n for n in range(max(1, dim // DIM_HEAD), 0, -1) if dim % n == 0)
