"""LLaVA in the layout of its authors (``liuhaotian/...``), versions 1 and 1.5 [edge].

``config.json`` is the language model's with fields of LLaVA beside it (``mm_vision_tower``,
``mm_projector_type``, ``mm_vision_select_layer`` ...); weights stand in ``pytorch_model*.bin`` or safetensors
under the names of the reference code. The vision tower is usually not among them and comes from
``mm_vision_tower``. A folder with ``mm_projector.bin`` alone is the result of stage 1: it needs the language
model it was trained for. Refused: LoRA folders (merge them with the reference code), start and end tokens
around images, and tiles (1.6).
"""

import re
import zipfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, CLIPModel, LlamaConfig

from llava_core.checkpoint.bundle import LlavaBundle
from llava_core.checkpoint.join import add_image_token, padding
from llava_core.checkpoint.sources import (
    find_folder,
    load_whole,
    read_config,
    read_image_processor,
    read_tokenizer,
)
from llava_core.data.json_file import check_is_file, read_json_object
from llava_core.data.template import Template
from llava_core.errors import InputError
from llava_core.folders import file_inside
from llava_core.model.llava import LlavaModel
from llava_core.model.projector import STOCK_PROJECTORS, build_projector

_LAYERS = {"weight": "linear_1.weight", "bias": "linear_1.bias"} | {
    f"{index}.{kind}": f"linear_{layer}.{kind}"
    for index, layer in ((0, 1), (2, 2))
    for kind in ("weight", "bias")
}
"""Names inside ``mm_projector`` to ours: a bare linear layer, or a sequence with an activation at 1."""
_PROJECTOR = re.compile(r"^(?:model\.)?mm_projector\.(.+)$")
_TOWER = re.compile(r"^model\.vision_tower\.vision_tower\.(?:vision_model\.)?(.+)$")


def load_original(
    folder: Path,
    *,
    device: torch.device,
    dtype: torch.dtype,
    clip: str | Path | None,
    template: Template,
) -> LlavaBundle:
    """Return the LLaVA of a folder in the original layout.

    Parameters
    ----------
    folder : Path
    device : torch.device
    dtype : torch.dtype
    clip : str or Path, optional
        In place of what ``mm_vision_tower`` names.
    template : Template

    Raises
    ------
    InputError
        If a file, weight or field is missing, does not fit, or asks for what is left out.
    """
    config = read_config(folder)
    _check(config, folder)
    weights = _read_weights(folder)
    clip_folder = find_folder(clip or str(config["mm_vision_tower"]))
    whole = load_whole(CLIPModel, clip_folder, dtype=dtype).eval()
    tower = {match[1]: weights.pop(name) for name in list(weights) if (match := _TOWER.match(name))}
    _fill(whole.vision_model, tower, folder, partly=True)
    parts = {match[1]: weights.pop(name) for name in list(weights) if (match := _PROJECTOR.match(name))}
    told = {name: value for name, value in config.items() if not name.startswith("mm_")}
    llm_config = LlamaConfig.from_dict(told | {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    language = AutoModelForCausalLM.from_config(llm_config, dtype=dtype)
    _fill(language, weights, folder)
    tokenizer = read_tokenizer(folder)
    image_token_id = add_image_token(language, tokenizer)
    projector = build_projector(
        str(config.get("mm_projector_type", "linear")),
        whole.config.vision_config.hidden_size,
        llm_config.hidden_size,
    ).to(dtype)
    _fill(projector, {_LAYERS.get(name, name): tensor for name, tensor in parts.items()}, folder)
    processor = read_image_processor(clip_folder)
    model = LlavaModel(
        whole.vision_model,
        projector,
        language,
        image_token_id=image_token_id,
        vision_layer=int(config.get("mm_vision_select_layer", -2)),
        keep_cls=config.get("mm_vision_select_feature", "patch") == "cls_patch",
    )
    model.to(device).eval()
    return LlavaBundle(
        model=model,
        tokenizer=tokenizer,
        image_processor=padding(processor) if config.get("image_aspect_ratio") == "pad" else processor,
        template=template,
        clip=whole.to(device).requires_grad_(False),
        clip_tokenizer=read_tokenizer(clip_folder),
    )


def load_projector(file: Path, bundle: LlavaBundle) -> None:
    """Put the projector of a stage 1 (``mm_projector.bin``) into a bundle of the same parts.

    Raises
    ------
    InputError
        If the file is no projector, or one of another shape.
    """
    found = {
        match[1]: tensor for name, tensor in _torch_file(file).items() if (match := _PROJECTOR.match(name))
    }
    _fill(bundle.model.projector, {_LAYERS.get(name, name): t for name, t in found.items()}, file)


def projector_file_kind(file: Path) -> str:
    """Return the kind of the projector in a file of stage 1.

    Raises
    ------
    InputError
        If the file is no projector.
    """
    names = {match[1] for name in _torch_file(file) if (match := _PROJECTOR.match(name))}
    kinds = {frozenset({"weight", "bias"}): "linear", frozenset(_LAYERS) - {"weight", "bias"}: "mlp2x_gelu"}
    if frozenset(names) not in kinds:
        raise InputError(
            f"got weights named {sorted(names)[:4]}, allowed is a linear or an mlp2x_gelu mm_projector",
            path=file,
        )
    return kinds[frozenset(names)]


def _check(config: dict[str, Any], folder: Path) -> None:
    allowed: dict[str, tuple[Any, ...]] = {
        "mm_projector_type": (None, *STOCK_PROJECTORS),
        "mm_use_im_start_end": (None, False),
        "image_aspect_ratio": (None, "square", "pad"),
        "mm_vision_select_feature": (None, "patch", "cls_patch"),
        "mm_patch_merge_type": (None, "flat"),
    }
    for field, values in allowed.items():
        if config.get(field) not in values:
            names = ", ".join(str(value) for value in values if value is not None)
            raise InputError(
                f"got {config[field]!r}, allowed is {names}", path=folder / "config.json", field=field
            )
    layer = config.get("mm_vision_select_layer", -2)
    if not isinstance(layer, int):
        raise InputError(f"got {layer!r}, allowed is one layer", path=folder, field="mm_vision_select_layer")
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            "got LoRA adapters of the original layout, allowed are whole weights: merge them first",
            path=folder,
        )


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Return all weights of a folder by name."""
    shards = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    index = next(iter(folder.glob("*.index.json")), None)
    if index is not None:
        try:
            named = {
                file_inside(folder, name).name for name in read_json_object(index)["weight_map"].values()
            }
        except (KeyError, TypeError, AttributeError):
            raise InputError(
                "got a broken index, allowed is a weight_map of names to files", path=index
            ) from None
        lost = sorted(name for name in named if not (folder / name).is_file())
        if lost:
            raise InputError(f"file named in {index.name} is missing", path=folder / lost[0])
        shards = sorted(folder / name for name in named)
    if not shards:
        raise InputError(
            "no weights (*.safetensors or pytorch_model*.bin); for a projector alone (mm_projector.bin) name "
            "the models it was trained for: llava convert --clip --llm --projector",
            path=folder,
        )
    weights: dict[str, Tensor] = {}
    for shard in shards:
        weights |= _safetensors_file(shard) if shard.suffix == ".safetensors" else _torch_file(shard)
    return {name: tensor for name, tensor in weights.items() if not name.endswith("rotary_emb.inv_freq")}


def _safetensors_file(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise InputError(f"got a file that safetensors cannot read ({error})", path=file) from None


def _torch_file(file: Path) -> dict[str, Tensor]:
    check_is_file(file)
    try:
        # Files of before 2020 are no archives, and cannot be mapped.
        found = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except FileNotFoundError:
        raise InputError("no such file", path=file) from None
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(f"got a file that torch cannot read safely ({first})", path=file) from None
    if not isinstance(found, dict):
        raise InputError(f"got {type(found).__name__}, allowed is a mapping of names to weights", path=file)
    return found


def _fill(module: torch.nn.Module, weights: dict[str, Tensor], path: Path, *, partly: bool = False) -> None:
    """Copy weights into a module, which needs all of them; with ``partly``, none at all will do as well."""
    own = {name: tensor for name, tensor in module.state_dict().items() if not name.endswith("position_ids")}
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith("position_ids")}
    if partly and not weights:
        return
    tied = (
        {"lm_head.weight"}
        if getattr(getattr(module, "config", None), "tie_word_embeddings", False)
        else set()
    )
    missing = sorted(own.keys() - weights.keys() - tied)
    extra = sorted(weights.keys() - own.keys())
    if missing:
        raise InputError(f"the weight is missing ({len(missing)} are)", path=path, field=missing[0])
    if extra:
        raise InputError(
            f"there is no place for the weight ({len(extra)} too many)", path=path, field=extra[0]
        )
    with torch.no_grad():
        for name, tensor in weights.items():
            if own[name].shape != tensor.shape:
                raise InputError(
                    f"got shape {tuple(tensor.shape)}, allowed is {tuple(own[name].shape)}",
                    path=path,
                    field=name,
                )
            own[name].copy_(tensor)
