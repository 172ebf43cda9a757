"""Pre-training of the tiny CLIP: images against captions, with a captioner that is thrown away.

Source: the contrastive loss of CLIP and the captioning loss of CoCa. The captioner, a small language model
that reads the patch features of layer -2, keeps in every patch what a caption tells about it; the
contrastive loss alone only trains the pooled token. Batches are random at first; later every other batch
comes from few skills, so that captions differ in what they say and not only in what they are about. Left
out: image augmentation beyond a shift by a few pixels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPModel, LlamaConfig, LlamaForCausalLM

from llava_core.model.llava import VISION_LAYER
from llava_core.model.projector import LinearProjector
from llava_core.train.loop import OptimConfig, Progress, Trace, epochs, gradients, make_optimizer, optimise


@dataclass(frozen=True, kw_only=True, slots=True)
class ContrastiveConfig:
    """Pre-training of CLIP."""

    n_steps: int
    batch_size: int
    optim: OptimConfig
    easy_frac: float = 0.35
    """Share of the steps with random batches only; after it every other batch is hard."""
    skills_per_hard_batch: int = 3
    caption_weight: float = 1.0
    """Weight of the captioning loss; 0 is CLIP."""
    max_shift_px: int = 2
    """Images are shifted by up to this many pixels in each direction."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CaptionedImages:
    """The training set as tensors, one row per image."""

    pixels: Tensor
    """(images, 3, height, width), any float type."""
    input_ids: Tensor
    """(images, tokens): caption and stop token, padded on the right."""
    mask: Tensor
    """(images, tokens)."""
    caption: np.ndarray
    """(images,) int: equal for equal captions."""
    skill: np.ndarray
    """(images,) int."""


class Captioner(nn.Module):
    """Reads patch features as a prefix and predicts the caption; discarded after pre-training.

    One layer: what a caption tells must stand in the patches, ready to be read off in one step, since the
    captioner cannot work it out. That is what a linear projector needs.
    """

    def __init__(self, dim_vision: int, vocab_size: int, dim: int = 128) -> None:
        super().__init__()
        self.projector = LinearProjector(dim_vision, dim)
        self.llm = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocab_size,
                hidden_size=dim,
                intermediate_size=2 * dim,
                num_hidden_layers=1,
                num_attention_heads=4,
                tie_word_embeddings=True,
            )
        )

    def forward(self, features: Tensor, input_ids: Tensor, mask: Tensor) -> Tensor:
        """Return the mean cross-entropy per caption token, from features (batch, patches, dim)."""
        embeddings = self.llm.get_input_embeddings()(input_ids)
        n_patches = features.shape[1]
        hidden = self.llm.model(
            inputs_embeds=torch.cat([self.projector(features), embeddings[:, :-1]], 1), use_cache=False
        ).last_hidden_state[:, n_patches - 1 :]
        wanted = mask.bool()
        return nn.functional.cross_entropy(self.llm.lm_head(hidden[wanted]), input_ids[wanted])


def pretrain_clip(
    clip: CLIPModel,
    data: CaptionedImages,
    config: ContrastiveConfig,
    *,
    seed: int,
    progress: Progress | None = None,
) -> Trace:
    """Train ``clip`` in place.

    Parameters
    ----------
    clip : CLIPModel
    data : CaptionedImages
    config : ContrastiveConfig
    seed : int
        Of the batches and shifts; the captioner is initialised from torch's random state.
    progress : callable, optional

    Returns
    -------
    Trace
        Its loss is the sum of contrastive and weighted captioning loss.
    """
    rng = np.random.default_rng(seed)
    captioner = Captioner(clip.config.vision_config.hidden_size, clip.config.text_config.vocab_size)
    clip.requires_grad_(True).train()

    def loss_of(rows: np.ndarray) -> Tensor:
        pixels, ids, mask, caption = _take(data, rows, rng, config.max_shift_px)
        vision = clip.vision_model(pixel_values=pixels, output_hidden_states=True)
        image = nn.functional.normalize(clip.visual_projection(vision.pooler_output), dim=-1)
        text = nn.functional.normalize(
            clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output, dim=-1
        )
        loss = contrastive_loss(image, text, caption, clip.logit_scale.clamp(max=4.6052).exp())
        if config.caption_weight:
            features = vision.hidden_states[VISION_LAYER][:, 1:]
            loss = loss + config.caption_weight * captioner(features, ids, mask)
        return loss

    parameters = [*clip.parameters(), *captioner.parameters()]
    trace = optimise(
        parameters,
        make_optimizer(parameters, config.optim),
        _batches(data, config, rng),
        gradients(loss_of),
        n_steps=config.n_steps,
        config=config.optim,
        progress=progress,
    )
    clip.eval()
    return trace


def contrastive_loss(image: Tensor, text: Tensor, caption: Tensor, scale: Tensor) -> Tensor:
    """Return CLIP's symmetric cross-entropy; rows with equal captions are positives of each other.

    Parameters
    ----------
    image, text : Tensor
        (batch, dim), of unit length.
    caption : Tensor
        (batch,) int, equal for equal captions.
    scale : Tensor
        Inverse temperature.
    """
    logits = scale * image @ text.T
    positive = (caption[:, None] == caption[None]).float()
    target = positive / positive.sum(1, keepdim=True)
    to_text = -(target * logits.log_softmax(1)).sum(1).mean()
    to_image = -(target * logits.T.log_softmax(1)).sum(1).mean()
    return (to_text + to_image) / 2


@torch.no_grad()
def caption_matching(
    clip: CLIPModel,
    data: CaptionedImages,
    *,
    n_candidates: int = 4,
    seed: int = 0,
    batch_size: int = 256,
) -> dict[int, tuple[float, int]]:
    """Return per skill the share of images whose own caption beats others of the same skill, and the count.

    Parameters
    ----------
    clip : CLIPModel
    data : CaptionedImages
    n_candidates : int
        Captions to choose from, the right one included; all differ. Skills with fewer captions are left out.
    seed : int
        Of the draw of the wrong captions.
    batch_size : int
    """
    rng = np.random.default_rng(seed)
    images, texts = [], []
    for start in range(0, len(data.caption), batch_size):
        rows = slice(start, start + batch_size)
        image = clip.get_image_features(pixel_values=data.pixels[rows].float()).pooler_output
        ids, mask = data.input_ids[rows], data.mask[rows]
        text = clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
        images.append(nn.functional.normalize(image, dim=-1))
        texts.append(nn.functional.normalize(text, dim=-1))
    image, text = torch.cat(images), torch.cat(texts)
    result = {}
    for skill in np.unique(data.skill):
        rows_of = np.flatnonzero(data.skill == skill)
        one_each = rows_of[np.unique(data.caption[rows_of], return_index=True)[1]]
        if len(one_each) < n_candidates:
            continue
        right = []
        for row in rows_of:
            others = one_each[data.caption[one_each] != data.caption[row]]
            wrong = rng.choice(others, n_candidates - 1, replace=False)
            scores = text[np.concatenate([[row], wrong])] @ image[row]
            right.append(bool(scores[0] > scores[1:].max()))
        result[int(skill)] = (float(np.mean(right)), len(right))
    return result


def _batches(
    data: CaptionedImages, config: ContrastiveConfig, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Random batches, from ``easy_frac`` on every other one from few skills."""
    n_rows, skills = len(data.caption), np.unique(data.skill)
    size = min(config.batch_size, n_rows)

    def epoch(_: int) -> Sequence[np.ndarray]:
        order = rng.permutation(n_rows)
        return [order[start : start + size] for start in range(0, n_rows - size + 1, size)]

    for step, batch in enumerate(epochs(epoch, config.n_steps)):
        if step < config.easy_frac * config.n_steps or step % 2 == 0:
            yield batch
            continue
        n_skills = min(config.skills_per_hard_batch, len(skills))
        few = np.flatnonzero(np.isin(data.skill, rng.choice(skills, n_skills, replace=False)))
        yield rng.choice(few, min(size, len(few)), replace=False)


def _take(
    data: CaptionedImages, rows: np.ndarray, rng: np.random.Generator, max_shift_px: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    index = torch.from_numpy(rows)
    pixels = data.pixels[index].float()
    if max_shift_px:
        shift = rng.integers(-max_shift_px, max_shift_px + 1, 2)
        pixels = pixels.roll((int(shift[0]), int(shift[1])), (2, 3))
    mask = data.mask[index]
    width = int(mask.sum(1).max())
    return pixels, data.input_ids[index, :width], mask[:, :width], torch.from_numpy(data.caption[rows])
