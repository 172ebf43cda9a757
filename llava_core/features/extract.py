"""All embeddings and scores that a trained LLaVA gives for questions, into a feature store.

| block | level | array |
|---|---|---|
| clip_image | example | projected image embedding of CLIP, unit length, (dim_clip,) |
| clip_image_patches | example | mean over patches of the tower's layer -2, (dim_vision,) |
| clip_text | option | question and option through CLIP's text tower, unit length, (dim_clip,) |
| clip_similarity | option | cosine of clip_image and clip_text, (1,) |
| projector_align, projector | example | mean over image tokens behind the projector, after stage 1 and 2 |
| llm_hidden | option | layers `LAYERS` at the option's last token, concatenated, (n_layers * dim_llm,) |
| option_logprob | option | sum, mean per token, number of tokens (`llava_core.inference.logprob`) |
| llm_answer | option | 1 for the option that the generated text names |

An example without image file has NaN in the image blocks.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from llava_core.checkpoint import LlavaBundle, checkpoint_hash, load_checkpoint
from llava_core.data.collate import clip_text_batch
from llava_core.data.example import Example
from llava_core.data.images import load_pixels
from llava_core.features.store import Block, write_store
from llava_core.inference.generate import generate_answers
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.parse import parse_answer

LAYERS = (-3, -1)
"""Kept hidden states of the language model: -1 is the last layer's output, 0 would be the embeddings."""
_BATCH_SIZE = 128

Progress = Callable[[int, int], None]


def extract_features(
    checkpoints: Mapping[str, Path],
    examples: Sequence[Example],
    out: Path,
    *,
    data_fingerprint: str,
    progress: Progress | None = None,
) -> Path:
    """Write the feature store of some examples.

    Parameters
    ----------
    checkpoints : mapping of str to Path
        ``finetune`` is needed, ``align`` adds the block projector_align.
    examples : sequence of Example
    out : Path
        Folder of the store.
    data_fingerprint : str
        Of the data set that the examples are from.
    progress : callable, optional
        Called with (steps done, steps in all); a step is an example in one pass.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If a checkpoint is not whole or an image cannot be read.
    """
    bundle = load_checkpoint(checkpoints["finetune"])
    tick = _passes(progress, n_passes=4 + ("align" in checkpoints), n_examples=len(examples))
    sizes = [len(example.options) for example in examples]
    owner = np.repeat(np.arange(len(examples)), sizes)

    blocks: dict[str, Block] = {}
    image, patches, projected = _image_blocks(bundle, examples, tick)
    blocks["clip_image"] = Block(level="example", array=image)
    blocks["clip_image_patches"] = Block(level="example", array=patches)
    blocks["projector"] = Block(level="example", array=projected)
    if "align" in checkpoints:
        aligned = _image_blocks(load_checkpoint(checkpoints["align"]), examples, tick)[2]
        blocks["projector_align"] = Block(level="example", array=aligned)
    text = _text_block(bundle, examples, tick)
    blocks["clip_text"] = Block(level="option", array=text)
    similarity = (image[owner] * text).sum(1, keepdims=True)
    blocks["clip_similarity"] = Block(level="option", array=similarity.astype(np.float32))

    scores = option_logprobs(bundle, examples, layers=LAYERS, progress=tick)
    hidden = [score.hidden.reshape(len(score.sum), -1) for score in scores if score.hidden is not None]
    blocks["llm_hidden"] = Block(level="option", array=np.concatenate(hidden))
    likelihood = [np.column_stack([score.sum, score.mean, score.n_tokens]) for score in scores]
    blocks["option_logprob"] = Block(level="option", array=np.concatenate(likelihood).astype(np.float32))
    texts = generate_answers(bundle, examples, progress=tick)
    named = [parse_answer(text, example.options) for text, example in zip(texts, examples, strict=True)]
    chosen = np.concatenate([np.arange(n) == k for n, k in zip(sizes, named, strict=True)])
    blocks["llm_answer"] = Block(level="option", array=chosen.astype(np.float32)[:, None])

    rows = pd.DataFrame(
        {
            "example_id": [example.id for example in examples],
            "group": [example.group for example in examples],
            "split": [example.split for example in examples],
            "n_options": sizes,
            "answer": [-1 if example.answer is None else example.answer for example in examples],
            "seen_in_training": [example.id in bundle.seen_ids for example in examples],
        }
    )
    meta = {
        "data_fingerprint": data_fingerprint,
        "checkpoints": {stage: checkpoint_hash(path) for stage, path in checkpoints.items()},
        "settings": {"llm_hidden_layers": list(LAYERS), "template": bundle.template.name},
        "n_unparsed": named.count(-1),
    }
    return write_store(out, rows=rows, blocks=blocks, meta=meta)


def _image_blocks(
    bundle: LlavaBundle, examples: Sequence[Example], tick: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return CLIP's image embedding, the mean patch and the mean image token of each example."""
    config = bundle.whole_clip.config
    dims = (
        config.projection_dim,
        config.vision_config.hidden_size,
        bundle.model.llm.config.hidden_size,
    )
    image, patches, projected = (np.full((len(examples), dim), np.nan, dtype=np.float32) for dim in dims)
    with torch.inference_mode():
        for start in range(0, len(examples), _BATCH_SIZE):
            rows = range(start, min(start + _BATCH_SIZE, len(examples)))
            with_image = [row for row in rows if examples[row].image is not None]
            paths = [path for row in rows if (path := examples[row].image) is not None]
            if paths:
                pixels = load_pixels(paths, bundle.image_processor)
                pooled = bundle.whole_clip.get_image_features(pixel_values=pixels).pooler_output
                features = bundle.model.vision_features(pixels)
                image[with_image] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
                patches[with_image] = features.mean(1).numpy()
                projected[with_image] = bundle.model.project(features).mean(1).numpy()
            tick(rows[-1] + 1, len(examples))
    return image, patches, projected


def _text_block(bundle: LlavaBundle, examples: Sequence[Example], tick: Progress) -> NDArray[np.float32]:
    """Return CLIP's embedding of each option behind its question."""
    texts = [f"{example.question} {option}" for example in examples for option in example.options]
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    found = np.empty((len(texts), bundle.whole_clip.config.projection_dim), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), _BATCH_SIZE):
            rows = order[start : start + _BATCH_SIZE]
            ids, mask = clip_text_batch(
                [texts[row] for row in rows],
                bundle.tokenizer,
                max_tokens=bundle.whole_clip.config.text_config.max_position_embeddings,
                pad_token_id=bundle.pad_token_id,
            )
            pooled = bundle.whole_clip.get_text_features(input_ids=ids, attention_mask=mask).pooler_output
            found[rows] = torch.nn.functional.normalize(pooled, dim=-1).numpy()
            tick(round((start + len(rows)) / len(texts) * len(examples)), len(examples))
    return found


def _passes(progress: Progress | None, *, n_passes: int, n_examples: int) -> Progress:
    """Return a progress of several passes over the examples as one."""
    state = {"before": 0}

    def tick(done: int, total: int) -> None:
        if progress is not None:
            progress(state["before"] + done, n_passes * n_examples)
        if done == total:
            state["before"] += n_examples

    return tick
