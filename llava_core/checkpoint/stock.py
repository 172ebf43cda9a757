"""Our model and the stock ``LlavaForConditionalGeneration``, one turned into the other without a copy.

The stock projector is always two linear layers around an activation. A linear projector is that with the
activation ``linear`` and an identity behind it, the identity projector two identities. Left out: LLaVA 1.6
(tiles), several vision layers joined, vision towers other than CLIP.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, LlavaConfig, LlavaForConditionalGeneration, PreTrainedModel

from llava_core.errors import InputError
from llava_core.model.llava import LlavaModel, hf_names
from llava_core.model.projector import LinearProjector, build_projector

LLM_TYPES = ("llama", "mistral", "qwen2")
"""Language models whose decoder is ``model`` and whose head is ``lm_head``; tested ones."""
CLIP_TYPE = "clip_vision_model"
ACTIVATIONS = {"gelu": "mlp2x_gelu", "linear": "linear"}
"""Activation of the stock projector to the kind of ours."""


def check_llm(model_type: str, *, path: Any = None, field: str = "model_type") -> None:
    """Refuse a language model of another family.

    Raises
    ------
    InputError
    """
    if model_type not in LLM_TYPES:
        raise InputError(
            f"got a language model of type {model_type!r}, allowed are {', '.join(LLM_TYPES)}",
            path=path,
            field=field,
        )


def check_config(config: LlavaConfig, *, path: Any = None) -> None:
    """Refuse what the stock configuration can say and our model cannot do.

    Raises
    ------
    InputError
        Naming the field, what it says, and what is allowed.
    """
    if config.vision_config.model_type != CLIP_TYPE:
        raise InputError(
            f"got {config.vision_config.model_type!r}, allowed is {CLIP_TYPE}",
            path=path,
            field="vision_config.model_type",
        )
    check_llm(config.text_config.model_type, path=path, field="text_config.model_type")
    if not isinstance(config.vision_feature_layer, int):
        raise InputError(
            f"got {config.vision_feature_layer}, allowed is one layer",
            path=path,
            field="vision_feature_layer",
        )
    n_states = config.vision_config.num_hidden_layers + 1
    if not -n_states <= config.vision_feature_layer < n_states:
        raise InputError(
            f"got {config.vision_feature_layer}, allowed is {-n_states} to {n_states - 1}",
            path=path,
            field="vision_feature_layer",
        )
    if config.projector_hidden_act not in ACTIVATIONS:
        raise InputError(
            f"got {config.projector_hidden_act!r}, allowed are {', '.join(ACTIVATIONS)}",
            path=path,
            field="projector_hidden_act",
        )
    if not config.multimodal_projector_bias:
        raise InputError("got false, allowed is true", path=path, field="multimodal_projector_bias")


def stock_config(model: LlavaModel) -> LlavaConfig:
    """Return the configuration with which the stock class is our model, as far as it can be."""
    tied = bool(model.llm.config.tie_word_embeddings)
    # Copies: a configuration around the model's own would unset how its attention is computed.
    return LlavaConfig(
        vision_config=deepcopy(model.vision_tower.config),
        text_config=deepcopy(model.llm.config),
        image_token_index=model.image_token_id,
        image_seq_length=model.n_image_tokens,
        projector_hidden_act="linear" if _is_linear(model.projector) else "gelu",
        vision_feature_layer=model.vision_layer,
        vision_feature_select_strategy="full" if model.keep_cls else "default",
        tie_word_embeddings=tied,
        architectures=["LlavaForConditionalGeneration"],
    )


def stock_weights(model: LlavaModel) -> dict[str, Tensor]:
    """Return all weights of the stock class: ours, and the identities that ours does without."""
    weights = hf_names(model)
    if _is_linear(model.projector):
        like = model.llm.get_input_embeddings().weight
        layers = ("linear_2",) if isinstance(model.projector, LinearProjector) else ("linear_1", "linear_2")
        for layer in layers:
            eye = torch.eye(like.shape[1], dtype=like.dtype)
            weights[f"model.multi_modal_projector.{layer}.weight"] = eye
            weights[f"model.multi_modal_projector.{layer}.bias"] = torch.zeros(len(eye), dtype=like.dtype)
    return weights


def from_stock(stock: LlavaForConditionalGeneration, *, projector: str | None = None) -> LlavaModel:
    """Return our model around the parts of a stock one.

    Parameters
    ----------
    stock : LlavaForConditionalGeneration
        Given up: its parts belong to what is returned.
    projector : str, optional
        Kind; told by the activation if not given.
    """
    config = stock.config
    kind = projector or ACTIVATIONS[config.projector_hidden_act]
    tower = stock.model.vision_tower
    with torch.device("meta"):
        llm: PreTrainedModel = AutoModelForCausalLM.from_config(config.text_config)
    llm.model, llm.lm_head = stock.model.language_model, stock.lm_head
    llm.generation_config = stock.generation_config
    for flag in ("is_loaded_in_8bit", "is_loaded_in_4bit"):
        if getattr(stock, flag, False):
            setattr(llm, flag, True)
    return LlavaModel(
        tower,
        _projector(stock.model.multi_modal_projector, kind, tower.config.hidden_size),
        llm,
        image_token_id=config.image_token_id,
        vision_layer=config.vision_feature_layer,
        keep_cls=config.vision_feature_select_strategy == "full",
    ).eval()


def _projector(stock: nn.Module, kind: str, dim_vision: int) -> nn.Module:
    first, second = stock.linear_1, stock.linear_2
    assert isinstance(first, nn.Linear)
    assert isinstance(second, nn.Linear)
    with torch.device("meta"):
        projector = build_projector(kind, dim_vision, second.out_features)
    weights: Mapping[str, Tensor] = {}
    if kind == "linear":
        # Behind a linear activation two layers are one.
        exact = bool((second.weight == torch.eye(len(second.weight)).to(second.weight)).all())
        weight = first.weight if exact else second.weight @ first.weight
        bias = first.bias if exact else second.weight @ first.bias
        weights = {"linear_1.weight": weight, "linear_1.bias": bias + second.bias}
    elif kind == "mlp2x_gelu":
        weights = {f"{name}": tensor for name, tensor in stock.state_dict().items()}
    projector.load_state_dict(
        {name: tensor.detach() for name, tensor in weights.items()}, assign=True, strict=True
    )
    return projector.requires_grad_(False)


def _is_linear(projector: nn.Module) -> bool:
    return type(projector).__name__ != "MlpProjector"
