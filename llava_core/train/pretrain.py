"""Pre-training of the two tiny models that play CLIP's and Vicuna's part: sizes, schedules, assembly.

The tokenizer comes first, then both models side by side, each in its own process on one thread; neither
sees the other. What comes out is an ordinary checkpoint of stage ``pretrained`` whose projector has learned
nothing yet. See `llava_core.train.contrastive` and `llava_core.train.language` for the two trainings.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from llava_core.checkpoint import LlavaBundle, build_bundle
from llava_core.data.collate import clip_text_batch
from llava_core.data.conversation import question_prompt
from llava_core.data.example import Example
from llava_core.data.images import load_pixels
from llava_core.data.template import MINI_V1
from llava_core.train.contrastive import (
    CaptionedImages,
    ContrastiveConfig,
    caption_matching,
    pretrain_clip,
)
from llava_core.train.language import LanguageConfig, pretrain_llm
from llava_core.train.loop import OptimConfig, Progress, threads
from llava_core.train.tokenizer import train_tokenizer
from llava_core.workers import worker_pool

Text = str | tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class TinySizes:
    """Shapes of the tiny models; about two million weights in all."""

    vocab_size: int = 1024
    image_size: int = 64
    patch_size: int = 16
    dim_vision: int = 128
    n_vision_layers: int = 4
    vision_mlp: int = 384
    dim_text: int = 96
    n_text_layers: int = 2
    text_mlp: int = 192
    text_positions: int = 96
    dim_llm: int = 128
    n_llm_layers: int = 4
    llm_mlp: int = 320
    n_heads: int = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainConfig:
    """Both pre-trainings."""

    sizes: TinySizes = TinySizes()
    clip: ContrastiveConfig = ContrastiveConfig(
        n_steps=3000, batch_size=64, optim=OptimConfig(lr=1e-3, weight_decay=0.05)
    )
    llm: LanguageConfig = LanguageConfig(
        n_steps=14_000, batch_size=24, optim=OptimConfig(lr=3e-3, weight_decay=0.05, betas=(0.9, 0.98))
    )
    held_out_frac: float = 0.05
    """Share of the images kept from CLIP, to measure caption matching on."""


def pretrain(
    examples: Sequence[Example],
    texts: Sequence[Text],
    config: PretrainConfig,
    *,
    scratch: Path,
    seed: int,
    progress: Progress | None = None,
) -> LlavaBundle:
    """Return a bundle with pre-trained CLIP and language model.

    Parameters
    ----------
    examples : sequence of Example
        Questions of the pre-training part; those with image and caption teach CLIP.
    texts : sequence of str or (question, answer)
        Text-only documents.
    config : PretrainConfig
    scratch : Path
        Folder for what is removed at the end.
    seed : int
    progress : callable, optional
        Called with CLIP's steps, the longer of the two trainings.

    Returns
    -------
    LlavaBundle
        ``meta`` has both loss curves and the caption matching of CLIP on held-out images.
    """
    tokenizer = tiny_tokenizer(examples, texts, vocab_size=config.sizes.vocab_size)
    bundle = tiny_bundle(config.sizes, tokenizer, seed=seed)
    with TemporaryDirectory(dir=scratch) as folder, worker_pool(1) as pool:
        weights = Path(folder) / "llm.safetensors"
        pending = pool.submit(_save_tiny_llm, weights, examples, texts, config, tokenizer, seed=seed)
        clip_state, clip_meta = train_tiny_clip(examples, config, tokenizer, seed=seed, progress=progress)
        llm_meta = pending.result()
        llm_state = load_file(weights)
    bundle.whole_clip.load_state_dict({name: torch.from_numpy(value) for name, value in clip_state.items()})
    bundle.model.llm.load_state_dict({name: torch.from_numpy(value) for name, value in llm_state.items()})
    bundle.model.requires_grad_(False).eval()
    meta = {"config": asdict(config), "seed": seed, "clip": clip_meta, "llm": llm_meta}
    return replace(bundle, meta=meta)


def tiny_tokenizer(
    examples: Sequence[Example], texts: Sequence[Text], *, vocab_size: int
) -> PreTrainedTokenizerFast:
    """Return the tokenizer of everything that the language model will read."""
    corpus = [text if isinstance(text, str) else "\n".join(text) for text in texts]
    for example in examples:
        corpus += [
            question_prompt(example),
            " ".join(f" {o}" for o in example.options),
            example.caption or "",
        ]
    template = MINI_V1
    frame = template.system + template.human_prefix + template.human_suffix + template.assistant_prefix
    # The frame stands in every conversation; counted once each, its words become one token like any other's.
    return train_tokenizer([*corpus, *[frame] * len(examples)], vocab_size=vocab_size)


def tiny_bundle(sizes: TinySizes, tokenizer: PreTrainedTokenizerFast, *, seed: int) -> LlavaBundle:
    """Return an untrained bundle of these sizes, the same for the same seed."""
    ids = {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    vision = {
        "hidden_size": sizes.dim_vision,
        "intermediate_size": sizes.vision_mlp,
        "num_hidden_layers": sizes.n_vision_layers,
        "num_attention_heads": sizes.n_heads,
        "image_size": sizes.image_size,
        "patch_size": sizes.patch_size,
        "projection_dim": sizes.dim_text,
    }
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": sizes.dim_text,
        "intermediate_size": sizes.text_mlp,
        "num_hidden_layers": sizes.n_text_layers,
        "num_attention_heads": sizes.n_heads,
        "max_position_embeddings": sizes.text_positions,
        "projection_dim": sizes.dim_text,
        **ids,
    }
    llm = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.dim_llm,
        intermediate_size=sizes.llm_mlp,
        num_hidden_layers=sizes.n_llm_layers,
        num_attention_heads=sizes.n_heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        initializer_range=0.05,
        **ids,
    )
    square = {"height": sizes.image_size, "width": sizes.image_size}
    # Drawings have a near-white ground: this mean puts it near zero and leaves the contrast to the lines.
    processor = CLIPImageProcessorPil(
        size={"shortest_edge": sizes.image_size},
        crop_size=square,
        image_mean=[0.93] * 3,
        image_std=[0.25] * 3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bundle = build_bundle(
            CLIPConfig(vision_config=vision, text_config=text, projection_dim=sizes.dim_text),
            llm,
            tokenizer=tokenizer,
            image_processor=processor,
            template=MINI_V1,
        )
        # Stock positions are ten times fainter than patches; a tiny tower then never finds them.
        torch.nn.init.normal_(bundle.whole_clip.vision_model.embeddings.position_embedding.weight, std=0.2)
    return bundle


def captioned_images(examples: Sequence[Example], bundle: LlavaBundle) -> CaptionedImages:
    """Return all examples with image and caption as tensors; pixels in float16 to halve the memory."""
    shown = [e for e in examples if e.image is not None and e.caption]
    parts = [
        load_pixels([e.image for e in shown[start : start + 256] if e.image], bundle.image_processor).half()
        for start in range(0, len(shown), 256)
    ]
    captions = [str(e.caption) for e in shown]
    input_ids, mask = clip_text_batch(
        captions,
        bundle.tokenizer,
        max_tokens=bundle.whole_clip.config.text_config.max_position_embeddings,
        pad_token_id=bundle.pad_token_id,
    )
    return CaptionedImages(
        pixels=torch.cat(parts),
        input_ids=input_ids,
        mask=mask,
        caption=np.unique(captions, return_inverse=True)[1],
        skill=np.unique([str(e.skill) for e in shown], return_inverse=True)[1],
    )


def train_tiny_clip(
    examples: Sequence[Example],
    config: PretrainConfig,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return CLIP's weights after pre-training on one thread, and what was measured."""
    with threads(1), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        bundle = tiny_bundle(config.sizes, tokenizer, seed=seed)
        data = captioned_images(examples, bundle)
        held_out = np.random.default_rng(seed).random(len(data.caption)) < config.held_out_frac
        train, kept = _rows(data, ~held_out), _rows(data, held_out)
        trace = pretrain_clip(bundle.whole_clip, train, config.clip, seed=seed, progress=progress)
        matching = caption_matching(bundle.whole_clip, kept, seed=seed)
        skills = np.unique([str(e.skill) for e in examples if e.image is not None and e.caption])
    meta = {
        **asdict(trace),
        "n_images": int((~held_out).sum()),
        "caption_matching": {
            "what": "own caption among 4 of the same skill, held-out images; chance 0.25",
            "mean": float(
                np.average([a for a, _ in matching.values()], weights=[n for _, n in matching.values()])
            )
            if matching
            else None,
            "by_skill": {str(skills[index]): {"accuracy": a, "n": n} for index, (a, n) in matching.items()},
        },
    }
    return _arrays(bundle.whole_clip), meta


def train_tiny_llm(
    examples: Sequence[Example],
    texts: Sequence[Text],
    config: PretrainConfig,
    tokenizer: PreTrainedTokenizerFast,
    *,
    seed: int,
    progress: Progress | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return the language model's weights after pre-training on one thread, and what was measured."""
    with threads(1):
        bundle = tiny_bundle(config.sizes, tokenizer, seed=seed)
        trace = pretrain_llm(
            bundle.model.llm,
            examples,
            texts,
            config.llm,
            tokenizer=tokenizer,
            template=bundle.template,
            seed=seed,
            progress=progress,
        )
    return _arrays(bundle.model.llm), {**asdict(trace), "n_questions": len(examples), "n_texts": len(texts)}


def _save_tiny_llm(weights: Path, *inputs: Any, seed: int) -> dict[str, Any]:
    """Do `train_tiny_llm` and leave the weights in a file, see `worker_pool`."""
    state, meta = train_tiny_llm(*inputs, seed=seed)
    save_file(state, weights)
    return meta


def _rows(data: CaptionedImages, keep: np.ndarray) -> CaptionedImages:
    index: Tensor = torch.from_numpy(np.flatnonzero(keep))
    return CaptionedImages(
        pixels=data.pixels[index],
        input_ids=data.input_ids[index],
        mask=data.mask[index],
        caption=data.caption[keep],
        skill=data.skill[keep],
    )


def _arrays(module: CLIPModel | LlamaForCausalLM) -> dict[str, np.ndarray]:
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}
