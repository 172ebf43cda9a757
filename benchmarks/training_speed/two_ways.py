"""One set of random weights that can be run in two ways: this package's, and the stock class's.

Both ways read, and train, the same weights under the same optimiser, so that what differs is the way alone,
and so that both can be timed in turn where a second copy would not fit.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedModel,
)

from llava_core.model.compiling import compile_decoder, compiled_modules
from llava_core.model.llava import LlavaModel
from llava_core.train.processes import Precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Size:
    """Shapes of a model, and how many conversations make a step."""

    n_layers: int
    dim_llm: int
    mlp_llm: int
    n_heads: int
    vocab_size: int
    dim_vision: int
    mlp_vision: int
    n_vision_layers: int
    n_vision_heads: int
    image_size: int = 224
    patch_size: int = 14
    batch_sizes: tuple[int, int] | None = None
    """Of stages 1 and 2; those of LLaVA (128 and 32) if not given."""


CLIP_L = {"dim_vision": 1024, "mlp_vision": 4096, "n_vision_layers": 24, "n_vision_heads": 16}
SIZES = {
    "7b": Size(n_layers=32, dim_llm=4096, mlp_llm=11008, n_heads=32, vocab_size=32_000, **CLIP_L),
    "13b": Size(n_layers=40, dim_llm=5120, mlp_llm=13824, n_heads=40, vocab_size=32_000, **CLIP_L),
    # CLIP takes the share of stage 1 that it has at 7B, 2 %.
    "small": Size(
        n_layers=6,
        dim_llm=256,
        mlp_llm=688,
        n_heads=4,
        vocab_size=8000,
        dim_vision=64,
        mlp_vision=256,
        n_vision_layers=4,
        n_vision_heads=4,
        batch_sizes=(16, 8),
    ),
    # For tests, and for the comparison of the two ways before they are timed.
    "tiny": Size(
        n_layers=2,
        dim_llm=32,
        mlp_llm=48,
        n_heads=2,
        vocab_size=300,
        dim_vision=16,
        mlp_vision=32,
        n_vision_layers=3,
        n_vision_heads=2,
        image_size=64,
        patch_size=16,
        batch_sizes=(8, 8),
    ),
}


class TwoWays(LlavaModel):
    """A model that runs as the stock class does where it is given pixels, and as ours where not."""

    def __init__(self, stock: LlavaForConditionalGeneration) -> None:
        with torch.device("meta"):
            llm = LlamaForCausalLM(stock.config.text_config)
        llm.model, llm.lm_head = stock.model.language_model, stock.lm_head
        super().__init__(
            stock.model.vision_tower,
            stock.model.multi_modal_projector,
            llm,
            image_token_id=stock.config.image_token_id,
        )
        self._stock = (stock,)  # in a tuple, since its parts are ours already

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Return an output with ``loss``."""
        if "pixel_values" in kwargs:
            return self._stock[0](*args, use_cache=False, **kwargs)
        return super().forward(*args, **kwargs)


def config_of(size: Size, n_layers: int) -> LlavaConfig:
    """Return the stock class's configuration, with so many decoder layers."""
    vision = CLIPVisionConfig(
        hidden_size=size.dim_vision,
        intermediate_size=size.mlp_vision,
        num_hidden_layers=size.n_vision_layers,
        num_attention_heads=size.n_vision_heads,
        image_size=size.image_size,
        patch_size=size.patch_size,
        projection_dim=size.dim_vision,
    )
    llm = LlamaConfig(
        vocab_size=size.vocab_size,
        hidden_size=size.dim_llm,
        intermediate_size=size.mlp_llm,
        num_hidden_layers=n_layers,
        num_attention_heads=size.n_heads,
        num_key_value_heads=size.n_heads,
        max_position_embeddings=2048,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=llm,
        image_token_index=size.vocab_size - 1,
        image_seq_length=(size.image_size // size.patch_size) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
    )


def build(
    size: Size, stage: str, *, device: torch.device, precision: Precision, n_layers: int | None = None
) -> TwoWays:
    """Return a model of random weights, made on its device in its precision, with what learns decided."""
    before = torch.get_default_dtype()
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16 if precision == "bf16" else torch.float32)
    try:
        with torch.device(device):
            stock = LlavaForConditionalGeneration(config_of(size, n_layers or size.n_layers))
    finally:
        torch.set_default_dtype(before)
    model = TwoWays(stock)
    model.projector.requires_grad_(True)
    model.llm.requires_grad_(stage == "finetune")
    model.train()
    return model


def set_checkpointing(model: LlavaModel, on: bool) -> None:
    """Keep only each decoder layer's input for the backward pass, or all that it needs."""
    for module in model.llm.modules():
        if hasattr(module, "gradient_checkpointing"):
            module.gradient_checkpointing = False
    if on:
        # Named otherwise before transformers 5.20.
        enable = getattr(
            model.llm, "activation_checkpointing_enable", model.llm.gradient_checkpointing_enable
        )
        enable({"use_reentrant": False})


class Compiled:
    """Switches the decoder between its compiled and its plain calls; compiles once."""

    def __init__(self, llm: PreTrainedModel) -> None:
        self._llm = llm
        self._calls: dict[nn.Module, Any] = {}

    def __call__(self, on: bool, *, checkpointing: bool) -> None:
        """Switch."""
        wanted = compiled_modules(self._llm, checkpointing=checkpointing) if on else []
        if not set(wanted) <= set(self._calls):
            compile_decoder(self._llm, checkpointing=checkpointing)
            self._calls |= {module: module._compiled_call_impl for module in wanted}
        for module, call in self._calls.items():
            module._compiled_call_impl = call if module in wanted else None
