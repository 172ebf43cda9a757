"""Our own checkpoint folder: the Hugging Face layout of LLaVA, and what we know beyond it [edge].

Stock ``LlavaForConditionalGeneration`` and ``AutoProcessor`` load it as it is, unless the parts are connected
as no stock class can hold: see `llava_core.checkpoint.own`. The folder holds::

    config.json               stock configuration
    model.safetensors         weights under stock names; in shards with an index where they are large
    tokenizer.json, processor_config.json, chat_template.jinja, generation_config.json ...   stock as well
    llava_core.json           schema version, stage, projector kind and settings, template, prompt
    clip.safetensors, clip_config.json   the rest of CLIP, where it is at hand: text tower, projections
    clip_tokenizer/           CLIP's tokenizer, where it is another one
    seen_ids.json             id of every example that any training stage saw
    training.json             loss curve, seconds, configuration of the stage
    manifest.json             size and SHA-256 of each file, written last

The folder is written beside its place and renamed, so a torn one is never taken for whole. No pickle.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from llava_core.checkpoint.bundle import LlavaBundle
from llava_core.checkpoint.chat_template import chat_template
from llava_core.checkpoint.own import fits_stock, save_own
from llava_core.checkpoint.sources import foreign, quiet
from llava_core.checkpoint.stock import stock_config, stock_weights
from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.json_file import read_json, read_json_object
from llava_core.data.prompts import ALLOWED, PROMPTS
from llava_core.data.template import Template
from llava_core.errors import InputError, shown
from llava_core.folders import check_replaceable, file_inside, whole_folder
from llava_core.model.llava import hf_names
from llava_core.model.projector import projector_kind, projector_settings

SCHEMA_VERSION = 2
OURS = "llava_core.json"
MARKS = (OURS,)
"""Tells a checkpoint of ours; ``manifest.json`` stands in feature stores and runs, too."""
_NEEDED = {"config.json", OURS}
_READ_BYTES = 1 << 24


def save_checkpoint(
    bundle: LlavaBundle,
    path: Path,
    *,
    stage: str,
    seen_ids: Iterable[str],
    dtype: torch.dtype | None = torch.float32,
) -> Path:
    """Write ``bundle`` as a folder, replacing what stands at ``path``.

    Parameters
    ----------
    bundle : LlavaBundle
    path : Path
    stage : str
        Which training made these weights, e.g. ``align``.
    seen_ids : iterable of str
        Ids of all examples seen in this and earlier stages.
    dtype : torch.dtype or None
        Precision on disk; None for that of the weights.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError
        If something stands at ``path`` that is no checkpoint of ours.
    """
    path = Path(path)
    check_replaceable(path, marks=MARKS)
    with whole_folder(path) as draft:
        is_stock = fits_stock(bundle.model)
        if is_stock:
            _save_stock(bundle, draft, dtype)
        else:
            save_own(bundle, draft, _on_disk(hf_names(bundle.model), dtype))
        if bundle.clip is not None:
            save_file(_on_disk(_clip_rest(bundle.clip), dtype), draft / "clip.safetensors")
            _write_json(draft / "clip_config.json", bundle.clip.config.to_dict())
            if bundle.clip_tokenizer is not None and bundle.clip_tokenizer is not bundle.tokenizer:
                bundle.clip_tokenizer.save_pretrained(str(draft / "clip_tokenizer"))
        about = {
            "schema_version": SCHEMA_VERSION,
            "stage": stage,
            "projector": projector_kind(bundle.model.projector),
            "template": asdict(bundle.template),
            "prompt": bundle.prompt,
        }
        if not is_stock:
            about |= {"stock": False, "projector_settings": projector_settings(bundle.model.projector)}
        _write_json(draft / OURS, about)
        _write_json(draft / "seen_ids.json", sorted(set(seen_ids)))
        _write_json(draft / "training.json", dict(bundle.meta))
        files = {name: describe_file(draft / name) for name in _names(draft)}
        _write_json(draft / "manifest.json", {"schema_version": SCHEMA_VERSION, "files": files})
    return path


def load_extras(path: Path, bundle: LlavaBundle, *, dtype: torch.dtype, device: torch.device) -> LlavaBundle:
    """Return a bundle that was read from the stock files, with what we know beyond them.

    Raises
    ------
    InputError
        If the files do not fit each other.
    """
    from dataclasses import replace

    about = read_about(path)
    clip = clip_tokenizer = None
    if (path / "clip_config.json").is_file():
        told = read_json_object(path / "clip_config.json")
        with foreign("the rest of CLIP cannot be read", path / "clip_config.json"):
            clip_config = CLIPConfig.from_dict(told)
            with torch.device("meta"):
                clip = CLIPModel(clip_config)
            clip.vision_model = bundle.model.vision_tower
            stored = {
                name: tensor.to(device, dtype)
                for name, tensor in load_file(path / "clip.safetensors").items()
            }
            lacking = clip.load_state_dict(stored, strict=False, assign=True)
        lost = [name for name in lacking.missing_keys if not name.startswith("vision_model.")]
        if lost or lacking.unexpected_keys:
            raise InputError(
                f"weights do not fit clip_config.json: lacks {lost[:3]}, has {lacking.unexpected_keys[:3]}",
                path=path / "clip.safetensors",
            )
        clip.text_model.embeddings.position_ids = torch.arange(
            clip_config.text_config.max_position_embeddings, device=device
        )[None]
        clip.requires_grad_(False).eval()
        clip_tokenizer = bundle.tokenizer
        if (path / "clip_tokenizer").is_dir():
            with foreign("CLIP's tokenizer cannot be read", path / "clip_tokenizer"):
                clip_tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path / "clip_tokenizer"))
    return replace(
        bundle,
        template=Template(**about["template"]),
        prompt=about["prompt"],
        clip=clip,
        clip_tokenizer=clip_tokenizer,
        meta=read_json_object(path / "training.json"),
        seen_ids=read_ids(path / "seen_ids.json"),
    )


def read_about(path: Path) -> dict[str, Any]:
    """Return what our own file says; the manifest must have been checked.

    Raises
    ------
    InputError
        If a field is missing, or names nothing that is known.
    """
    about = read_json_object(path / OURS)
    for field in ("stage", "projector", "prompt"):
        if not isinstance(about.get(field), str):
            raise InputError(f"got {shown(about.get(field))}, allowed is text", path=path / OURS, field=field)
    template = about.get("template")
    known = {each.name: each.default is MISSING for each in fields(Template)}
    needed = {name for name, is_needed in known.items() if is_needed}
    if (
        not isinstance(template, dict)
        or not needed <= set(template) <= set(known)
        or not all(value is None or isinstance(value, str | bool) for value in template.values())
    ):
        raise InputError(
            f"got {shown(template)}, allowed are the fields {', '.join(known)}",
            path=path / OURS,
            field="template",
        )
    if about["prompt"] not in PROMPTS:
        raise InputError(
            f"got {shown(about['prompt'])}, allowed are {ALLOWED}", path=path / OURS, field="prompt"
        )
    return about


def read_ids(file: Path) -> frozenset[str]:
    """Return the ids of a file with a list of them.

    Raises
    ------
    InputError
        If it holds anything else.
    """
    ids = read_json(file)
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise InputError(f"got {shown(ids)}, allowed is a list of ids", path=file)
    return frozenset(ids)


def verify_checkpoint(path: Path) -> None:
    """Check that a checkpoint is whole and unchanged.

    Raises
    ------
    InputError
        Naming the file at fault.
    """
    manifest = read_manifest(path)
    for name, described in manifest["files"].items():
        file = file_inside(path, name)
        if not file.is_file():
            raise InputError("file named in manifest.json is missing", path=file)
        found = describe_file(file)
        if found != described:
            raise InputError(
                f"got {found['bytes']} bytes with SHA-256 {found['sha256'][:12]}, manifest.json says "
                f"{described['bytes']} bytes with {described['sha256'][:12]}: changed or torn",
                path=file,
            )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of one of our checkpoints.

    Raises
    ------
    InputError
        If there is none of this schema.
    """
    path = Path(path)
    file = path / "manifest.json"
    if not path.is_dir():
        raise InputError("no such checkpoint folder", path=path)
    if not file.is_file():
        raise InputError("no manifest.json: not a checkpoint, or one that was only half written", path=path)
    manifest = read_json_object(file)
    version, files = manifest.get("schema_version"), manifest.get("files")
    if not isinstance(files, dict) or not all(_is_described(each) for each in files.values()):
        raise InputError("got a broken manifest.json", path=path)
    if version != SCHEMA_VERSION or not files.keys() >= _NEEDED:
        raise InputError(
            f"got a manifest of schema version {shown(version)} with {len(files)} files, "
            f"allowed is a LLaVA checkpoint of version {SCHEMA_VERSION}",
            path=path,
        )
    return manifest


def _is_described(told: object) -> bool:
    return (
        isinstance(told, dict) and isinstance(told.get("bytes"), int) and isinstance(told.get("sha256"), str)
    )


def describe_file(file: Path) -> dict[str, Any]:
    """Return size and SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while piece := stream.read(_READ_BYTES):
            digest.update(piece)
    return {"bytes": file.stat().st_size, "sha256": digest.hexdigest()}


def _save_stock(bundle: LlavaBundle, draft: Path, dtype: torch.dtype | None) -> None:
    """Write what stock transformers loads."""
    model, config = bundle.model, stock_config(bundle.model)
    config.dtype = dtype or model.llm.dtype
    with torch.device("meta"):
        stock = LlavaForConditionalGeneration(config)
    stock.generation_config.eos_token_id = bundle.tokenizer.eos_token_id
    stock.generation_config.bos_token_id = bundle.tokenizer.bos_token_id
    stock.generation_config.pad_token_id = bundle.pad_token_id
    with quiet():
        stock.save_pretrained(str(draft), state_dict=_on_disk(stock_weights(model), dtype))
    LlavaProcessor(
        image_processor=bundle.image_processor,
        tokenizer=bundle.tokenizer,
        patch_size=model.vision_tower.config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
        image_token=IMAGE_TOKEN,
        chat_template=chat_template(bundle.template, bundle.tokenizer),
    ).save_pretrained(str(draft))


def _clip_rest(clip: CLIPModel) -> dict[str, torch.Tensor]:
    """Weights of CLIP beside the vision model, which `hf_names` stores."""
    weights = clip.state_dict()
    return {name: tensor for name, tensor in weights.items() if not name.startswith("vision_model.")}


def _on_disk(weights: Mapping[str, torch.Tensor], dtype: torch.dtype | None) -> dict[str, torch.Tensor]:
    return {
        name: (tensor.to(dtype) if dtype and tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in weights.items()
    }


def _names(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
