"""Loads LLaVA from any layout, told apart by what the files say [edge].

| layout | told by |
|---|---|
| ours | ``manifest.json`` and ``llava_core.json``; verified against the manifest |
| Hugging Face (``llava-hf``) | ``config.json`` of type ``llava`` with a ``text_config`` |
| original (``liuhaotian``) | ``config.json`` with ``mm_vision_tower``, see `llava_core.checkpoint.original` |

LLaVA 1.6 and later relatives are refused by the type they name. A pair of CLIP and language model is joined
by `llava_core.checkpoint.join`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import CLIPModel, LlavaConfig, LlavaForConditionalGeneration

from llava_core.checkpoint.bundle import LlavaBundle, attach_clip
from llava_core.checkpoint.folder import (
    OURS,
    describe_file,
    load_extras,
    read_about,
    read_ids,
    read_manifest,
    verify_checkpoint,
)
from llava_core.checkpoint.original import load_original
from llava_core.checkpoint.own import load_own
from llava_core.checkpoint.quantize import Quantize, quantization
from llava_core.checkpoint.sources import (
    find_folder,
    foreign,
    load_whole,
    read_config,
    read_image_processor,
    read_tokenizer,
)
from llava_core.checkpoint.stock import check_config, from_stock
from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.prompts import find_prompt
from llava_core.data.template import TEMPLATES
from llava_core.errors import InputError, shown
from llava_core.model.projector import STOCK_PROJECTORS

Layout = Literal["ours", "hugging_face", "original"]


def load_checkpoint(
    source: str | Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    clip: str | Path | None = None,
    template: str = "v1",
    prompt: str | None = None,
    quantize: Quantize | None = None,
) -> LlavaBundle:
    """Return a LLaVA in evaluation mode.

    Parameters
    ----------
    source : str or Path
        Folder, or name of a model on the hub; any layout of this module.
    device : str or torch.device
    dtype : torch.dtype, optional
        Precision in memory; float32 if not given.
    clip : str or Path, optional
        CLIP, folder or hub name. Checkpoints of others come without CLIP's text tower, which is taken from
        it; the original layout may come without vision tower as well.
    template : str
        Template that a checkpoint of others is asked with; ours say it themselves.
    prompt : str, optional
        How multiple-choice questions are asked, of `llava_core.data.prompts.PROMPTS`. If not given,
        checkpoints of ours say it themselves, and those of others are asked by ``option_texts``.
    quantize : {"8bit", "4bit"}, optional
        Load the language model's linear layers through bitsandbytes, on a GPU.

    Returns
    -------
    LlavaBundle

    Raises
    ------
    InputError
        If there is no such model, or it is not whole, changed, of another kind, or without image token; if
        there is no such prompt.
    """
    if prompt is not None:
        find_prompt(prompt)
    folder, device, dtype = find_folder(source), torch.device(device), dtype or torch.float32
    layout = layout_of(folder)
    if layout == "ours":
        verify_checkpoint(folder)
    if layout == "original":
        if quantize:
            raise InputError(
                "got the original layout, convert it first: llava convert", path=folder, field="quantize"
            )
        bundle = load_original(folder, device=device, dtype=dtype, clip=clip, template=_template(template))
    else:
        bundle = _load_stock(folder, device=device, dtype=dtype, template=template, quantize=quantize)
    if layout == "ours":
        bundle = load_extras(folder, bundle, dtype=dtype, device=device)
    if clip is not None and bundle.clip is None:
        place = find_folder(clip)
        whole = load_whole(CLIPModel, place, dtype=dtype).to(device).eval().requires_grad_(False)
        bundle = attach_clip(bundle, whole, read_tokenizer(place))
    bundle.model.requires_grad_(False)
    return bundle if prompt is None else replace(bundle, prompt=prompt)


def layout_of(folder: Path) -> Layout:
    """Return the layout of a model's folder.

    Raises
    ------
    InputError
        If it is none of ours to load, with what it is.
    """
    if (folder / OURS).is_file():
        read_manifest(folder)
        return "ours"
    config = read_config(folder)
    if "mm_vision_tower" in config:
        return "original"
    if config.get("model_type") == "llava" and "text_config" in config:
        return "hugging_face"
    raise InputError(
        f"got a model of type {shown(config.get('model_type'))}, allowed are LLaVA 1 and 1.5: our own "
        "checkpoints, model_type llava with a text_config (Hugging Face), or mm_vision_tower (original)",
        path=folder / "config.json",
        field="model_type",
    )


def checkpoint_hash(source: str | Path) -> str:
    """Return a SHA-256 over weights, configuration, tokenizer and seen ids.

    For our own checkpoints from the manifest, without ``training.json``: it holds seconds, and the same
    training should have the same hash. For those of others over all files of the folder.

    Raises
    ------
    InputError
        If there is no such model.
    """
    folder = find_folder(source)
    if layout_of(folder) != "ours":
        return folder_hash(folder)
    return _files_hash(read_manifest(folder)["files"])


def folder_hash(folder: Path) -> str:
    """Return a SHA-256 over all files of a model's folder."""
    found = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return _files_hash({path.name: describe_file(path) for path in found})


def read_seen_ids(source: str | Path) -> frozenset[str]:
    """Return the ids of all examples that training saw; none for others' checkpoints, which do not say."""
    folder = find_folder(source)
    if layout_of(folder) != "ours":
        return frozenset()
    return read_ids(folder / "seen_ids.json")


def says_what_it_saw(source: str | Path) -> bool:
    """Return whether a checkpoint knows all examples that training saw.

    Those of others do not say, and so neither do ours that were only converted or joined from them.
    """
    folder = find_folder(source)
    return layout_of(folder) == "ours" and read_about(folder)["stage"] not in ("converted", "joined")


def _files_hash(files: Mapping[str, Any]) -> str:
    parts = [f"{name} {files[name]['sha256']}" for name in sorted(files) if name != "training.json"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _load_stock(
    folder: Path, *, device: torch.device, dtype: torch.dtype, template: str, quantize: Quantize | None
) -> LlavaBundle:
    about = read_about(folder) if (folder / OURS).is_file() else {}
    if not about.get("stock", True):
        if quantize:
            raise InputError(
                f"got projector {about['projector']!r}, allowed are {', '.join(STOCK_PROJECTORS)}",
                path=folder,
                field="quantize",
            )
        return LlavaBundle(
            model=load_own(folder, about, device=device, dtype=dtype),
            tokenizer=read_tokenizer(folder),
            image_processor=read_image_processor(folder),
            template=_template(template),
        )
    told = read_config(folder)
    with foreign("transformers refuses it", folder / "config.json"):
        config = LlavaConfig.from_dict(told)
    check_config(config, path=folder / "config.json")
    tokenizer = read_tokenizer(folder)
    image_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    if image_id != config.image_token_id:
        has = "lacks it" if image_id in (None, tokenizer.unk_token_id) else f"has it as {image_id}"
        raise InputError(
            f"config.json says that {IMAGE_TOKEN} is token {config.image_token_id}, the tokenizer {has}",
            path=folder,
            field="image_token_index",
        )
    stock = load_whole(
        LlavaForConditionalGeneration,
        folder,
        dtype=dtype,
        config=config,
        **quantization(quantize, device=device, dtype=dtype),
    )
    if quantize is None:
        stock.to(device)
    return LlavaBundle(
        model=from_stock(stock, projector=about.get("projector")),
        tokenizer=tokenizer,
        image_processor=read_image_processor(folder),
        template=_template(template),
    )


def _template(name: str) -> Any:
    if name not in TEMPLATES:
        raise InputError(f"got {name!r}, allowed are {', '.join(sorted(TEMPLATES))}", field="template")
    return TEMPLATES[name]
