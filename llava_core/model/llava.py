"""LLaVA: a frozen CLIP vision tower, a projector, and a language model that reads patches as tokens.

Source: LLaVA's ``llava_arch.py`` and Hugging Face's ``modeling_llava``. Patches are hidden state -2 of the
tower, that is the output of its last layer but one without the final layer norm, with CLS dropped. The ids
hold one image token per patch already; the forward pass overwrites their embeddings. Parameter names are
those of the stock ``LlavaForConditionalGeneration`` (see `hf_names`). Left out: several images per row,
image newlines, tiles.
"""

from typing import cast

import torch
from torch import Tensor, nn
from transformers import CLIPVisionModel, LlamaForCausalLM
from transformers.modeling_outputs import CausalLMOutputWithPast

from llava_core.model.projector import LinearProjector

VISION_LAYER = -2
"""Hidden state of the tower that is read; 0 would be the embeddings."""


class LlavaModel(nn.Module):
    """Vision tower, projector and language model as one module.

    Parameters
    ----------
    vision_tower : CLIPVisionModel
        Frozen here and for good.
    projector : LinearProjector
    llm : LlamaForCausalLM
    image_token_id : int
        Id whose embeddings are overwritten by patches.
    """

    def __init__(
        self,
        vision_tower: CLIPVisionModel,
        projector: LinearProjector,
        llm: LlamaForCausalLM,
        *,
        image_token_id: int,
    ) -> None:
        super().__init__()
        self.vision_tower = vision_tower.requires_grad_(False).eval()
        self.projector = projector
        self.llm = llm
        self.image_token_id = image_token_id

    def train(self, mode: bool = True) -> "LlavaModel":
        """Switch mode; the tower stays in evaluation mode."""
        super().train(mode)
        self.vision_tower.eval()
        return self

    @property
    def n_image_tokens(self) -> int:
        """Patches per image."""
        config = self.vision_tower.config
        return int((config.image_size // config.patch_size) ** 2)

    @torch.no_grad()
    def vision_features(self, pixel_values: Tensor) -> Tensor:
        """Return patch features: hidden state -2 of the tower, CLS dropped."""
        hidden = self.vision_tower(pixel_values=pixel_values, output_hidden_states=True).hidden_states
        return cast(Tensor, hidden[VISION_LAYER][:, 1:])

    def project(self, features: Tensor) -> Tensor:
        """Return patches in the embedding space of the language model."""
        return cast(Tensor, self.projector(features))

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
        n_patches = 0 if vision_features is None else vision_features.shape[0] * vision_features.shape[1]
        if n_tokens != n_patches:
            raise ValueError(
                f"got {n_tokens} image tokens in input_ids and {n_patches} image patches; "
                "each patch needs exactly one token"
            )
        if vision_features is None or n_patches == 0:
            return cast(Tensor, embeddings)
        patches = self.project(vision_features).to(embeddings.dtype)
        return cast(Tensor, embeddings.masked_scatter(is_patch[..., None], patches))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor | None = None,
        vision_features: Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> CausalLMOutputWithPast:
        """Run the language model on text and patches.

        Parameters
        ----------
        input_ids : Tensor
            With one image token per patch of each image.
        attention_mask : Tensor
            1 for tokens, 0 for padding (on the right).
        labels : Tensor, optional
            Ids where supervised, -100 elsewhere, not shifted. With labels the output has ``loss``: the mean
            cross-entropy (natural log) over supervised tokens.
        vision_features : Tensor, optional
            From `vision_features`, one entry per image in reading order of the rows. Rows without image
            have none.
        output_hidden_states : bool
            Also return hidden states; 0 is the embeddings.

        Returns
        -------
        CausalLMOutputWithPast
            ``logits`` (batch, tokens, vocabulary), ``loss``, ``hidden_states``.

        Raises
        ------
        ValueError
            If image tokens and patches differ in number.
        """
        return cast(
            CausalLMOutputWithPast,
            self.llm(
                inputs_embeds=self.embed(input_ids, vision_features),
                attention_mask=attention_mask,
                labels=labels,
                output_hidden_states=output_hidden_states,
                use_cache=False,
            ),
        )

    def supervised_loss(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        vision_features: Tensor | None = None,
    ) -> Tensor:
        """Return what `forward` gives as ``loss``, with the vocabulary head on supervised positions only.

        Parameters are those of `forward`. The head is a tenth to a quarter of a step when it runs on every
        position.
        """
        hidden = self.llm.model(
            inputs_embeds=self.embed(input_ids, vision_features),
            attention_mask=attention_mask,
            use_cache=False,
        ).last_hidden_state[:, :-1]
        wanted = labels[:, 1:] >= 0  # the label that means "no loss" is negative
        return nn.functional.cross_entropy(self.llm.lm_head(hidden[wanted]), labels[:, 1:][wanted])


def hf_names(model: LlavaModel) -> dict[str, Tensor]:
    """Return the weights under the names of the stock ``LlavaForConditionalGeneration``.

    Tied copies are left out. The stock projector has a second linear layer, the identity for a linear
    projector; it is not stored.
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
