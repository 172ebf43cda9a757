"""A LLaVA checkpoint on disk: save, load, verify [edge].

A checkpoint is a folder::

    config.json               schema version, stage, configurations of CLIP and language model, template
    model.safetensors         weights, named as in the stock ``LlavaForConditionalGeneration``
    clip.safetensors          the rest of CLIP: text tower, projections, temperature
    tokenizer.json, tokenizer_config.json, preprocessor_config.json
    seen_ids.json             id of every example that any training stage saw
    training.json             loss curve, seconds, configuration of the stage
    manifest.json             size and SHA-256 of each file, written last

The folder is written beside its place and renamed, so a torn one is never taken for whole. No pickle. Left
out: optimizer state; a stage is short enough to be repeated.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaImageProcessorPil,
    PreTrainedTokenizerFast,
)

from llava_core.data.conversation import IMAGE_TOKEN, Template
from llava_core.errors import InputError
from llava_core.model.llava import LlavaModel, hf_names, load_hf_names
from llava_core.model.projector import LinearProjector

SCHEMA_VERSION = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class LlavaBundle:
    """A model with all that is needed to run it."""

    model: LlavaModel
    tokenizer: PreTrainedTokenizerFast
    """Of the language model; has the image token."""
    image_processor: CLIPImageProcessorPil | LlavaImageProcessorPil
    """CLIP's, or LLaVA's that can pad to a square first."""
    template: Template
    clip: CLIPModel | None = None
    """The whole CLIP, where it is at hand: its vision model is the module ``model.vision_tower``. Checkpoints
    of LLaVA alone come without text tower and projections."""
    clip_tokenizer: PreTrainedTokenizerFast | None = None
    """Of CLIP's text tower; the same object as ``tokenizer`` for the shipped models."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Plain data about the training: stage configuration, loss curve, seconds."""
    seen_ids: frozenset[str] = frozenset()
    """Ids of all examples that training has seen so far."""

    @property
    def whole_clip(self) -> CLIPModel:
        """CLIP with its text tower.

        Raises
        ------
        InputError
            If the checkpoint came without.
        """
        if self.clip is None:
            raise InputError("got a checkpoint without CLIP's text tower; name a CLIP to take it from")
        return self.clip

    @property
    def n_image_tokens(self) -> int:
        """Image tokens per image."""
        return self.model.n_image_tokens

    @property
    def pad_token_id(self) -> int:
        """Id that fills up batches; it is masked, so any will do where the tokenizer has none of its own."""
        pad = self.tokenizer.pad_token_id
        return int(self.tokenizer.eos_token_id if pad is None else pad)


def build_bundle(
    clip_config: CLIPConfig,
    llm_config: LlamaConfig,
    *,
    tokenizer: PreTrainedTokenizerFast,
    image_processor: CLIPImageProcessorPil,
    template: Template,
    meta: Mapping[str, Any] | None = None,
    seen_ids: frozenset[str] = frozenset(),
) -> LlavaBundle:
    """Return a bundle with freshly initialised weights (from torch's current random state)."""
    clip = CLIPModel(clip_config).eval()
    projector = LinearProjector(clip_config.vision_config.hidden_size, llm_config.hidden_size)
    model = LlavaModel(
        clip.vision_model,
        projector,
        LlamaForCausalLM(llm_config),
        image_token_id=int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)),
    )
    return LlavaBundle(
        model=model.eval(),
        tokenizer=tokenizer,
        image_processor=image_processor,
        clip=clip,
        clip_tokenizer=tokenizer,
        template=template,
        meta=meta or {},
        seen_ids=seen_ids,
    )


def save_checkpoint(
    bundle: LlavaBundle,
    path: Path,
    *,
    stage: str,
    seen_ids: Iterable[str],
    dtype: torch.dtype = torch.float32,
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
    dtype : torch.dtype
        Precision on disk.

    Returns
    -------
    Path
        ``path``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.writing")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    try:
        save_file(_on_disk(hf_names(bundle.model), dtype), draft / "model.safetensors")
        save_file(_on_disk(_clip_rest(bundle.whole_clip), dtype), draft / "clip.safetensors")
        bundle.tokenizer.save_pretrained(str(draft))
        bundle.image_processor.save_pretrained(str(draft))
        config = {
            "schema_version": SCHEMA_VERSION,
            "stage": stage,
            "clip": bundle.whole_clip.config.to_dict(),
            "llm": bundle.model.llm.config.to_dict(),
            "template": asdict(bundle.template),
            "n_image_tokens": bundle.n_image_tokens,
        }
        _write_json(draft / "config.json", config)
        _write_json(draft / "seen_ids.json", sorted(set(seen_ids)))
        _write_json(draft / "training.json", dict(bundle.meta))
        files = {file.name: _describe(file) for file in sorted(draft.iterdir())}
        _write_json(draft / "manifest.json", {"schema_version": SCHEMA_VERSION, "files": files})
        if path.exists():
            shutil.rmtree(path)
        draft.replace(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return path


def load_checkpoint(path: Path) -> LlavaBundle:
    """Return the bundle stored at ``path``, verified, in float32 and evaluation mode.

    Raises
    ------
    InputError
        If the folder is not a whole checkpoint of this schema: missing, half written, changed afterwards.
    """
    path = Path(path)
    verify_checkpoint(path)
    config = json.loads((path / "config.json").read_text())
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(path))
    bundle = build_bundle(
        CLIPConfig.from_dict(config["clip"]),
        LlamaConfig.from_dict(config["llm"]),
        tokenizer=tokenizer,
        image_processor=CLIPImageProcessorPil.from_pretrained(str(path)),
        template=Template(**config["template"]),
        meta=json.loads((path / "training.json").read_text()),
        seen_ids=read_seen_ids(path),
    )
    rest = _clip_rest(bundle.whole_clip)
    try:
        load_hf_names(bundle.model, load_file(path / "model.safetensors"))
        stored = load_file(path / "clip.safetensors")
        with torch.no_grad():
            for name, tensor in rest.items():
                tensor.copy_(stored[name])
    except (ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"weights do not fit config.json: {error}", path=path) from None
    return bundle


def verify_checkpoint(path: Path) -> None:
    """Check that a checkpoint is whole and unchanged.

    Raises
    ------
    InputError
        Naming the file at fault.
    """
    manifest = _read_manifest(path)
    for name, described in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise InputError("file named in manifest.json is missing", path=file)
        found = _describe(file)
        if found != described:
            raise InputError(
                f"got {found['bytes']} bytes with SHA-256 {found['sha256'][:12]}, manifest.json says "
                f"{described['bytes']} bytes with {described['sha256'][:12]}: changed or torn",
                path=file,
            )


def checkpoint_hash(path: Path) -> str:
    """Return a SHA-256 over weights, configuration, tokenizer and seen ids, from the manifest.

    ``training.json`` holds seconds and is left out, so that the same training has the same hash.

    Raises
    ------
    InputError
        If there is no readable manifest.
    """
    files = _read_manifest(path)["files"]
    parts = [f"{name} {files[name]['sha256']}" for name in sorted(files) if name != "training.json"]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read_seen_ids(path: Path) -> frozenset[str]:
    """Return the ids of all examples that training saw."""
    _read_manifest(path)
    return frozenset(json.loads((Path(path) / "seen_ids.json").read_text()))


def _read_manifest(path: Path) -> dict[str, Any]:
    path = Path(path)
    file = path / "manifest.json"
    if not path.is_dir():
        raise InputError("no such checkpoint folder", path=path)
    if not file.is_file():
        raise InputError("no manifest.json: not a checkpoint, or one that was only half written", path=path)
    try:
        manifest: dict[str, Any] = json.loads(file.read_text())
        version = manifest["schema_version"]
        files = manifest["files"]
    except (json.JSONDecodeError, KeyError, TypeError):
        raise InputError("got a broken manifest.json", path=path) from None
    if version != SCHEMA_VERSION or not {"config.json", "model.safetensors"} <= files.keys():
        raise InputError(
            f"got a manifest of schema version {version!r} with {len(files)} files, "
            f"allowed is a LLaVA checkpoint of version {SCHEMA_VERSION}",
            path=path,
        )
    return manifest


def _clip_rest(clip: CLIPModel) -> dict[str, torch.Tensor]:
    """Weights of CLIP beside the vision model, which `hf_names` stores."""
    weights = clip.state_dict()
    return {name: tensor for name, tensor in weights.items() if not name.startswith("vision_model.")}


def _on_disk(weights: Mapping[str, torch.Tensor], dtype: torch.dtype) -> dict[str, torch.Tensor]:
    return {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).contiguous().clone()
        for name, tensor in weights.items()
    }


def _describe(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _write_json(file: Path, content: object) -> None:
    file.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
