"""LLaVA: a frozen CLIP vision tower, a projector, and a language model that reads patches as tokens.

Source: LLaVA's ``llava_arch.py`` and Hugging Face's ``modeling_llava``. Patches are a hidden state of the
tower, by default -2, that is the output of its last layer but one without the final layer norm, with CLS
dropped. The ids hold one image token per patch already; the forward pass overwrites their embeddings.
Parameter names are those of the stock ``LlavaForConditionalGeneration`` (see `hf_names`). Two more ways to
connect the parts are projector kinds like the others: queries, which give another number of image tokens, and
gated cross-attention, which gives none but lets the language model's layers look at the patches. Left out:
image newlines and tiles (LLaVA 1.6).
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutputWithPast

from llava_core.model.cross_attention import SIGHT, GatedCrossAttention, images_seen, let_see, sight_of
from llava_core.model.packing import pack_arguments
from llava_core.model.projector import n_tokens_of
from llava_core.model.tower import TowerOutputs, run_tower

VISION_LAYER = -2
"""Hidden state of the tower that LLaVA reads; 0 would be the embeddings."""


class LlavaModel(nn.Module):
    """Vision tower, projector and language model as one module.

    Parameters
    ----------
    vision_tower : CLIPVisionModel
        Frozen here and for good.
    projector : Module
        One of `llava_core.model.projector.PROJECTORS`.
    llm : PreTrainedModel
        A causal language model of the LLaMA family: a decoder ``model`` and a head ``lm_head``.
    image_token_id : int
        Id whose embeddings are overwritten by patches.
    vision_layer : int
        Hidden state of the tower that is read; 0 is its embeddings, -1 the last layer's output.
    keep_cls : bool
        Whether CLS stays before the patches (LLaVA's ``cls_patch``) or is dropped (``patch``).
    """

    def __init__(
        self,
        vision_tower: CLIPVisionModel,
        projector: nn.Module,
        llm: PreTrainedModel,
        *,
        image_token_id: int,
        vision_layer: int = VISION_LAYER,
        keep_cls: bool = False,
    ) -> None:
        super().__init__()
        self.vision_tower = vision_tower.requires_grad_(False).eval()
        self.projector = projector
        self.llm = llm
        self.image_token_id = image_token_id
        self.vision_layer = vision_layer
        self.keep_cls = keep_cls
        if isinstance(projector, GatedCrossAttention):
            n_layers = len(llm.model.layers)
            if projector.n_llm_layers != n_layers:
                raise ValueError(
                    f"got cross-attention for {projector.n_llm_layers} layers, "
                    f"the language model has {n_layers}"
                )
            let_see(llm)

    def train(self, mode: bool = True) -> "LlavaModel":
        """Switch mode; the tower stays in evaluation mode."""
        super().train(mode)
        self.vision_tower.eval()
        return self

    @property
    def n_patches(self) -> int:
        """Patches per image that are read off the tower, and one for CLS where it is kept."""
        config = self.vision_tower.config
        return int((config.image_size // config.patch_size) ** 2) + self.keep_cls

    @property
    def n_image_tokens(self) -> int:
        """Image tokens per image in the ids: one per patch, but for the kinds that read patches otherwise."""
        return n_tokens_of(self.projector, self.n_patches)

    @property
    def device(self) -> torch.device:
        """Device of the language model's embeddings."""
        return cast(Tensor, self.llm.get_input_embeddings().weight).device

    def vision_features(self, pixel_values: Tensor) -> Tensor:
        """Return patch features; layers of the tower behind the one that is read do not run.

        Parameters
        ----------
        pixel_values : Tensor
            (images, 3, height, width), moved to the tower's device and precision.

        Returns
        -------
        Tensor
            (images, n_patches, dim_vision)
        """
        return self.vision_outputs(pixel_values).features

    def vision_outputs(
        self, pixel_values: Tensor, *, pooled: bool = False, keep_layers: Sequence[int] = ()
    ) -> TowerOutputs:
        """Return patch features and more of the same pass through the tower.

        Parameters
        ----------
        pixel_values : Tensor
            As for `vision_features`.
        pooled : bool
            Also CLIP's pooled output, which all layers of the tower have to run for.
        keep_layers : sequence of int
            Hidden states of the tower whose means over the patches are kept.
        """
        return run_tower(
            self.vision_tower,
            pixel_values,
            layer=self.vision_layer,
            keep_cls=self.keep_cls,
            pooled=pooled,
            keep_layers=keep_layers,
        )

    def project(self, features: Tensor) -> Tensor:
        """Return what the language model reads or looks at of the patches, in its width."""
        return cast(Tensor, self.projector(features))

    def inputs(
        self,
        input_ids: Tensor,
        vision_features: Tensor | None,
        *,
        attention_mask: Tensor | None = None,
        lengths: tuple[int, ...] | None = None,
    ) -> dict[str, Any]:
        """Return what the decoder of the language model is called with, in place of ids.

        ``inputs_embeds``, and with gated cross-attention a `llava_core.model.cross_attention.Sight` of the
        images. Parameters are those of `forward`; the mask may have its padding on either side.

        Raises
        ------
        ValueError
            If image tokens and images do not fit.
        """
        if not isinstance(self.projector, GatedCrossAttention):
            return {"inputs_embeds": self.embed(input_ids, vision_features)}
        is_tag = input_ids == self.image_token_id
        n_tags, n_images = int(is_tag.sum()), 0 if vision_features is None else len(vision_features)
        if n_tags != n_images:
            raise ValueError(f"got {n_tags} image tokens in input_ids and {n_images} images; each needs one")
        embeddings = self.llm.get_input_embeddings()(input_ids)
        if vision_features is None:
            return {"inputs_embeds": embeddings}
        seen = images_seen(is_tag, is_token=attention_mask, lengths=lengths)
        keys = self.project(vision_features)
        return {"inputs_embeds": embeddings, SIGHT: sight_of(self.projector, keys, seen)}

    def embed(
        self,
        input_ids: Tensor,
        vision_features: Tensor | None,
    ) -> Tensor:
        """Return token embeddings with the image tokens' replaced by projected patches, in reading order.

        Raises
        ------
        ValueError
            If the number of image tokens differs from the number of patches; both are named.
        """
        embeddings = self.llm.get_input_embeddings()(input_ids)
        is_patch: Tensor = input_ids == self.image_token_id
        n_tokens = int(is_patch.sum())
        patches = None if vision_features is None else self.project(vision_features).to(embeddings.dtype)
        n_patches = 0 if patches is None else patches.shape[0] * patches.shape[1]
        if n_tokens != n_patches:
            raise ValueError(
                f"got {n_tokens} image tokens in input_ids and {n_patches} image patches; "
                "each patch needs exactly one token"
            )
        if patches is None:
            return cast(Tensor, embeddings)
        return cast(Tensor, embeddings.masked_scatter(is_patch[..., None], patches))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        vision_features: Tensor | None = None,
        *,
        lengths: tuple[int, ...] | None = None,
        n_supervised: int | None = None,
        output_hidden_states: bool = False,
    ) -> CausalLMOutputWithPast:
        """Run the language model on text and patches.

        Parameters
        ----------
        input_ids : Tensor
            (batch, tokens), with one image token per patch of each image.
        attention_mask : Tensor, optional
            (batch, tokens), 1 for tokens, 0 for padding (on the right).
        labels : Tensor, optional
            (batch, tokens): ids where supervised, -100 elsewhere, not shifted. With labels the output has
            ``loss`` and no ``logits``: the vocabulary head runs on supervised positions only, which is a
            tenth to a quarter of a step.
        vision_features : Tensor, optional
            (images, n_patches, dim_vision) from `vision_features`, in reading order of the rows. Of no
            image at all (0, ...) keeps the projector in the graph, which data-parallel training needs.
        lengths : tuple of int, optional
            The one row is packed: lengths of the conversations in it. Needs
            `llava_core.model.packing.packed`.
        n_supervised : int, optional
            What the summed loss is divided by; the number of supervised tokens if not given. With a batch
            that is cut into pieces, the number in the whole batch makes the pieces' losses add up to its.
        output_hidden_states : bool
            Also return hidden states; 0 is the embeddings.

        Returns
        -------
        CausalLMOutputWithPast
            ``logits`` (batch, tokens, vocabulary) or ``loss`` (cross-entropy, natural log);
            ``hidden_states``.

        Raises
        ------
        ValueError
            If image tokens and patches differ in number.
        """
        arguments: dict[str, Any] = {"attention_mask": attention_mask}
        if lengths is not None:
            arguments |= pack_arguments(lengths, input_ids.device)
        output = self.llm.model(
            **self.inputs(input_ids, vision_features, attention_mask=attention_mask, lengths=lengths),
            output_hidden_states=output_hidden_states,
            use_cache=False,
            **arguments,
        )
        states = output.last_hidden_state
        if labels is None:
            return CausalLMOutputWithPast(logits=self.llm.lm_head(states), hidden_states=output.hidden_states)
        wanted = labels[:, 1:] >= 0  # the label that means "no loss" is negative
        logits, targets = self.llm.lm_head(states[:, :-1][wanted]).float(), labels[:, 1:][wanted]
        if n_supervised is None:
            loss = nn.functional.cross_entropy(logits, targets)
        else:
            loss = nn.functional.cross_entropy(logits, targets, reduction="sum") / n_supervised
        return CausalLMOutputWithPast(loss=loss, hidden_states=output.hidden_states)


def hf_names(model: LlavaModel) -> dict[str, Tensor]:
    """Return the weights under the names of the stock ``LlavaForConditionalGeneration``.

    Tied copies are left out. The stock projector has a second linear layer, the identity for a linear
    projector; it is not stored. Queries and gated cross-attention, which the stock class has not, stand in
    the projector's place.
    """
    names: dict[str, Tensor] = {}
    for name, tensor in model.vision_tower.state_dict().items():
        names[f"model.vision_tower.{name}"] = tensor
    for name, tensor in model.projector.state_dict().items():
        names[f"model.multi_modal_projector.{name}"] = tensor
    for name, tensor in model.llm.state_dict().items():
        if name.startswith("model."):
            names[f"model.language_model.{name.removeprefix('model.')}"] = tensor
        elif not model.llm.config.tie_word_embeddings:
            names[name] = tensor
    return names


def load_hf_names(model: LlavaModel, weights: dict[str, Tensor]) -> None:
    """Copy weights named as in `hf_names` into ``model``, in its precision.

    Raises
    ------
    ValueError
        If names are missing or left over, or a shape differs.
    """
    own = hf_names(model)
    if own.keys() != weights.keys():
        missing, extra = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
        raise ValueError(f"got weights that lack {missing[:3]} and have {extra[:3]} in excess")
    with torch.no_grad():
        for name, tensor in own.items():
            if tensor.shape != weights[name].shape:
                raise ValueError(
                    f"got {name} of shape {tuple(weights[name].shape)}, expected {tuple(tensor.shape)}"
                )
            tensor.copy_(weights[name])
