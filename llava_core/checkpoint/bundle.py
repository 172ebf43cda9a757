"""A model with all that is needed to run it, as one object."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaImageProcessorPil,
    PreTrainedTokenizerFast,
)

from llava_core.data.conversation import IMAGE_TOKEN
from llava_core.data.template import Template
from llava_core.errors import InputError
from llava_core.model.llava import LlavaModel
from llava_core.model.projector import LinearProjector, build_projector

ImageProcessor: TypeAlias = "CLIPImageProcessorPil | LlavaImageProcessorPil"


@dataclass(frozen=True, kw_only=True, slots=True)
class LlavaBundle:
    """A model with all that is needed to run it."""

    model: LlavaModel
    tokenizer: PreTrainedTokenizerFast
    """Of the language model; has the image token."""
    image_processor: ImageProcessor
    """CLIP's, or LLaVA's that can pad to a square first."""
    template: Template
    prompt: str = "option_texts"
    """How a multiple-choice question is asked, in `llava_core.data.prompts.PROMPTS`."""
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
    image_processor: ImageProcessor,
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


def connect(
    bundle: LlavaBundle,
    projector: str,
    *,
    settings: Mapping[str, int] | None = None,
    vision_layer: int | None = None,
    seed: int = 0,
) -> LlavaBundle:
    """Return the bundle with its tower and language model connected in another way, untrained.

    Parameters
    ----------
    bundle : LlavaBundle
        Given up: its parts belong to what is returned.
    projector : str
        Kind, of `llava_core.model.projector.PROJECTORS`.
    settings : mapping of str to int, optional
        Of the kind.
    vision_layer : int, optional
        Hidden state of the tower that is read; as before if not given.
    seed : int
        Of the projector.

    Raises
    ------
    InputError
        If there is no such kind, setting or layer, or the kind does not fit the parts.
    """
    old = bundle.model
    layer = old.vision_layer if vision_layer is None else vision_layer
    n_states = old.vision_tower.config.num_hidden_layers + 1
    if not -n_states <= layer < n_states:
        raise InputError(f"got {layer}, allowed is {-n_states} to {n_states - 1}", field="vision_layer")
    weight = old.llm.get_input_embeddings().weight
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            fresh = build_projector(
                projector,
                old.vision_tower.config.hidden_size,
                old.llm.config.hidden_size,
                n_llm_layers=old.llm.config.num_hidden_layers,
                settings=settings,
            )
        model = LlavaModel(
            old.vision_tower,
            fresh.to(weight.device, weight.dtype).requires_grad_(False),
            old.llm,
            image_token_id=old.image_token_id,
            vision_layer=layer,
            keep_cls=old.keep_cls,
        )
    except ValueError as error:
        raise InputError(str(error), field="projector") from None
    return replace(bundle, model=model.eval())


def attach_clip(bundle: LlavaBundle, clip: CLIPModel, tokenizer: PreTrainedTokenizerFast) -> LlavaBundle:
    """Return the bundle with text tower and projections of a CLIP whose vision model is the bundle's own.

    Raises
    ------
    InputError
        If it is another vision model.
    """
    own, other = (module.state_dict() for module in (bundle.model.vision_tower, clip.vision_model))
    same = own.keys() == other.keys() and all(
        tensor.shape == other[name].shape
        and torch.allclose(tensor.float(), other[name].to(tensor).float(), atol=1e-2)
        for name, tensor in own.items()
    )
    if not same:
        raise InputError("got a CLIP whose vision model is not the checkpoint's", field="clip")
    clip.vision_model = bundle.model.vision_tower
    return replace(bundle, clip=clip, clip_tokenizer=tokenizer)
