"""The part of a checkpoint of ours that the stock LLaVA class cannot hold: other connections [edge].

Queries and gated cross-attention have no place in ``LlavaForConditionalGeneration``, which would fill its own
projector with random numbers and go on. So that it is refused rather than silently wrong, the folder differs
from the stock layout in what stock transformers looks for first::

    config.json                    the stock configuration, but of model_type ``llava_core``
    llava_core.safetensors         weights, in shards with an index where they are large
    tokenizer.json, preprocessor_config.json ...   stock, loadable one by one

``AutoConfig`` and ``AutoModel...`` do not know the type and name it; the class itself finds no weights. Kind
and settings of the connection stand in ``llava_core.json``.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, CLIPVisionModel, LlavaConfig

from llava_core.checkpoint.bundle import LlavaBundle
from llava_core.checkpoint.sources import foreign, read_config
from llava_core.checkpoint.stock import stock_config
from llava_core.model.llava import LlavaModel, load_hf_names
from llava_core.model.projector import STOCK_PROJECTORS, build_projector, projector_kind

MODEL_TYPE = "llava_core"
_WEIGHTS = "llava_core"


def fits_stock(model: LlavaModel) -> bool:
    """Return whether the stock class can hold a model."""
    return projector_kind(model.projector) in STOCK_PROJECTORS


def save_own(bundle: LlavaBundle, folder: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write configuration, weights, tokenizer and preprocessing of a model that the stock class cannot hold.

    Parameters
    ----------
    bundle : LlavaBundle
    folder : Path
    weights : dict
        As from `hf_names`, in the precision that they are to be kept in.
    """
    config = stock_config(bundle.model)
    config.dtype = next(iter(weights.values())).dtype
    told = config.to_dict() | {"model_type": MODEL_TYPE, "architectures": ["LlavaModel"]}
    (folder / "config.json").write_text(json.dumps(told, indent=1, sort_keys=True, default=str) + "\n")
    save_torch_state_dict(weights, folder, filename_pattern=f"{_WEIGHTS}{{suffix}}.safetensors")
    bundle.tokenizer.save_pretrained(str(folder))
    bundle.image_processor.save_pretrained(str(folder))


def load_own(
    folder: Path, about: Mapping[str, Any], *, device: torch.device, dtype: torch.dtype
) -> LlavaModel:
    """Return the model of a folder that `save_own` wrote.

    Parameters
    ----------
    folder : Path
        Verified against its manifest.
    about : mapping
        What ``llava_core.json`` says.
    device : torch.device
    dtype : torch.dtype

    Raises
    ------
    InputError
        If the files do not fit each other.
    """
    told = read_config(folder) | {"model_type": "llava"}
    with foreign("the model cannot be read", folder):
        config = LlavaConfig.from_dict(told)
        text, vision = config.text_config, config.vision_config
        projector = build_projector(
            about["projector"],
            vision.hidden_size,
            text.hidden_size,
            n_llm_layers=text.num_hidden_layers,
            settings=about["projector_settings"],
        )
        model = LlavaModel(
            CLIPVisionModel(vision),
            projector,
            AutoModelForCausalLM.from_config(text),
            image_token_id=config.image_token_id,
            vision_layer=config.vision_feature_layer,
            keep_cls=config.vision_feature_select_strategy == "full",
        ).to(device, dtype)
        weights: dict[str, torch.Tensor] = {}
        for file in sorted(folder.glob(f"{_WEIGHTS}*.safetensors")):
            weights |= load_file(file)
        load_hf_names(model, weights)
    return model.eval()
