"""All embeddings and scores that a trained LLaVA gives for questions, into a feature store [edge].

| block | level | array |
|---|---|---|
| clip_image | example | projected image embedding of CLIP, unit length, (dim_clip,) |
| clip_image_patches | example | mean over the image tokens before the projector, (dim_vision,) |
| clip_text | option | question and option through CLIP's text tower, unit length, (dim_clip,) |
| clip_similarity | option | cosine of clip_image and clip_text, (1,) |
| projector_align, projector | example | mean over image tokens behind the projector, after stage 1 and 2 |
| llm_hidden | option | some layers at the option's last token, concatenated, (n_layers * dim_llm,) |
| option_logprob | option | sum, mean per token, number of tokens (`llava_core.inference.logprob`) |
| llm_answer | option | 1 for the option that the generated text names |

An example without image file has NaN in the image blocks. A checkpoint without CLIP's text tower and
projections gives no clip_image, clip_text and clip_similarity; the manifest says so under ``left_out``.

Questions are done in chunks, see `llava_core.features.parts`: a chunk's numbers depend on its own questions
only, so that, on machines of one kind, the store is the same, byte for byte, whichever processes made it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from llava_core.checkpoint import LlavaBundle, checkpoint_hash, load_checkpoint
from llava_core.checkpoint.load import folder_hash, says_what_it_saw
from llava_core.checkpoint.sources import find_folder
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS
from llava_core.errors import InputError
from llava_core.features.images import align_projector, feature_bytes, show_images
from llava_core.features.parts import Parts
from llava_core.features.store import MANIFEST_FILE, Block, FeatureStore, Level, write_store
from llava_core.features.texts import clip_texts
from llava_core.inference.asking import ask, question_batches, run_batches
from llava_core.inference.decoding import Decoding
from llava_core.inference.generate import generate, question_dialogue
from llava_core.inference.logprob import OptionLogprobs, score_batch
from llava_core.inference.parse import parse_reply

VERSION = 1
"""To be raised with any change of the numbers, so that chunks of two versions are never joined."""
LAYERS = (-3, -1)
"""Kept hidden states of the language model: -1 is the last layer's output, 0 would be the embeddings."""
CHUNK_BYTES = 1 << 29
"""Of the patch features that a chunk keeps in memory."""
MOST_QUESTIONS, FEWEST_QUESTIONS = 8192, 64
LEVELS: Mapping[str, Level] = {
    "clip_image": "example",
    "clip_image_patches": "example",
    "projector": "example",
    "projector_align": "example",
    "clip_text": "option",
    "clip_similarity": "option",
    "llm_hidden": "option",
    "option_logprob": "option",
    "llm_answer": "option",
}
NEED_CLIP = ("clip_image", "clip_text", "clip_similarity")
WITHOUT_CLIP = (
    "the checkpoint has no CLIP text tower and projections, and no CLIP was named to take them from"
)

Progress = Callable[[int, int], None]


def extract_features(
    checkpoints: Mapping[str, str | Path],
    examples: Sequence[Example],
    out: Path,
    *,
    data_fingerprint: str,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    clip: str | None = None,
    layers: Sequence[int] = LAYERS,
    shard: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
) -> Path | None:
    """Write the feature store of some examples, or this process' share of it.

    Parameters
    ----------
    checkpoints : mapping of str to str or Path
        ``finetune`` is needed, ``align`` adds the block projector_align. Folders or hub names.
    examples : sequence of Example
    out : Path
        Folder of the store. Chunks that are not joined yet stand beside it, in ``OUT.parts``.
    data_fingerprint : str
        Of the data set that the examples are from.
    device : str or torch.device
    dtype : torch.dtype
        Precision of the models; the blocks are float32.
    clip : str, optional
        CLIP, folder or hub name, for text tower and projections that the checkpoint lacks.
    layers : sequence of int
        Kept hidden states of the language model.
    shard : tuple of int
        Which process this is, from 0, and how many there are.
    progress : callable, optional
        Called with (steps done, steps in all); a step is an example in one pass.

    Returns
    -------
    Path or None
        ``out``; None while chunks of other processes are missing. The last one to end joins them.

    Raises
    ------
    InputError
        If a checkpoint is not whole, an image cannot be read, or there is no such layer.
    """
    if not examples:
        raise ValueError("got no examples")
    made_by = {
        "data_fingerprint": data_fingerprint,
        "checkpoints": {stage: checkpoint_hash(path) for stage, path in checkpoints.items()},
        "clip": None if clip is None else folder_hash(find_folder(clip)),
        "llm_hidden_layers": list(layers),
        "dtype": str(dtype).removeprefix("torch."),
    }
    key = _digest({**made_by, "version": VERSION, "examples": [_told(example) for example in examples]})
    if _is_made(out, key):
        return out
    bundle = load_checkpoint(checkpoints["finetune"], device=device, dtype=dtype, clip=clip)
    _check_layers(layers, bundle)
    align = align_projector(checkpoints["align"], bundle) if "align" in checkpoints else None
    size = max(FEWEST_QUESTIONS, min(MOST_QUESTIONS, CHUNK_BYTES // feature_bytes(bundle)))
    chunks = [examples[start : start + size] for start in range(0, len(examples), size)]
    parts = Parts(out=out, key=key, n_chunks=len(chunks))
    mine = range(shard[0], len(chunks), shard[1])
    tick = _passes(progress, n_passes=3, n_examples=sum(len(chunks[number]) for number in mine))
    for number in mine:
        if parts.has(number):
            for _ in range(3):
                tick(1, 1, len(chunks[number]))
        else:
            parts.write(number, *_chunk(bundle, chunks[number], align=align, layers=layers, tick=tick))
    if parts.n_there < len(chunks):
        return None if not _is_made(out, key) else out
    with parts.joining() as is_ours:
        if is_ours:
            _join(
                parts, examples, bundle, made_by, known=says_what_it_saw(checkpoints["finetune"]), align=align
            )
    return out


def _chunk(
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    align: nn.Module | None,
    layers: Sequence[int],
    tick: "Tick",
) -> tuple[dict[str, NDArray[Any]], dict[str, int]]:
    """Return the blocks of a chunk, and what is counted."""
    n_examples = len(examples)
    sizes = [len(example.options) for example in examples]
    shown = show_images(
        bundle, examples, align=align, progress=lambda done, total: tick(done, total, n_examples)
    )
    blocks = shown.per_example(examples)
    if bundle.clip is not None:
        blocks["clip_text"] = clip_texts(bundle, examples)
        image = blocks["clip_image"][np.repeat(np.arange(n_examples), sizes)]
        blocks["clip_similarity"] = (image * blocks["clip_text"]).sum(1, keepdims=True).astype(np.float32)
    tick(1, 1, n_examples)

    prompt = PROMPTS[bundle.prompt]
    asked = [ask(bundle, example) for example in examples]
    scores: dict[int, OptionLogprobs] = {}
    texts: dict[int, str] = {}

    def run(rows: Sequence[int]) -> None:
        images = [image for row in rows if (image := examples[row].image) is not None]
        found = score_batch(bundle, [asked[row] for row in rows], images, vision=shown.vision, layers=layers)
        written = generate(
            bundle,
            [question_dialogue(bundle, examples[row]) for row in rows],
            Decoding(max_new_tokens=prompt.n_answer_tokens),
            batch_size=len(rows),
            vision=shown.vision,
        )
        scores.update(zip(rows, found, strict=True))
        texts.update(zip(rows, written, strict=True))

    n_halved = run_batches(
        question_batches(bundle, asked), run, progress=lambda n_done: tick(n_done, n_examples, n_examples)
    )
    ordered = [scores[row] for row in range(n_examples)]
    hidden = [score.hidden.reshape(len(score.sum), -1) for score in ordered if score.hidden is not None]
    blocks["llm_hidden"] = np.concatenate(hidden)
    likelihood = [np.column_stack([score.sum, score.mean, score.n_tokens]) for score in ordered]
    blocks["option_logprob"] = np.concatenate(likelihood).astype(np.float32)
    named = [
        parse_reply(texts[row], example.options, prompt=prompt.name) for row, example in enumerate(examples)
    ]
    chosen = np.concatenate([np.arange(n) == k for n, k in zip(sizes, named, strict=True)])
    blocks["llm_answer"] = chosen.astype(np.float32)[:, None]
    return blocks, {"n_unparsed": named.count(-1), "n_batches_halved": n_halved}


def _join(
    parts: Parts,
    examples: Sequence[Example],
    bundle: LlavaBundle,
    made_by: Mapping[str, Any],
    *,
    known: bool,
    align: nn.Module | None,
) -> None:
    """Write the store of all chunks."""
    names = [
        name
        for name in LEVELS
        if not (bundle.clip is None and name in NEED_CLIP)
        and not (align is None and name == "projector_align")
    ]
    rows = pd.DataFrame(
        {
            "example_id": [example.id for example in examples],
            "group": [example.group for example in examples],
            "split": [example.split for example in examples],
            "n_options": [len(example.options) for example in examples],
            "answer": [-1 if example.answer is None else example.answer for example in examples],
            "seen_in_training": [example.id in bundle.seen_ids for example in examples],
        }
    )
    meta = {
        "data_fingerprint": made_by["data_fingerprint"],
        "checkpoints": made_by["checkpoints"],
        "settings": {
            "llm_hidden_layers": made_by["llm_hidden_layers"],
            "template": bundle.template.name,
            "prompt": bundle.prompt,
            "dtype": made_by["dtype"],
            "clip": made_by["clip"],
        },
        "inputs": parts.key,
        "knows_seen_in_training": known,
        "left_out": {} if bundle.clip is not None else dict.fromkeys(NEED_CLIP, WITHOUT_CLIP),
        **parts.counts(),
    }
    blocks = {name: Block(level=LEVELS[name], array=parts.block(name)) for name in names}
    write_store(parts.out, rows=rows, blocks=blocks, meta=meta)


def _is_made(out: Path, key: str) -> bool:
    """Whether a whole store of these inputs is there."""
    if not (out / MANIFEST_FILE).is_file():
        return False
    try:
        return FeatureStore.open(out).manifest.get("inputs") == key
    except InputError:
        return False


def _check_layers(layers: Sequence[int], bundle: LlavaBundle) -> None:
    n_layers = int(bundle.model.llm.config.num_hidden_layers)
    wrong = [layer for layer in layers if not -n_layers - 1 <= layer <= n_layers]
    if wrong or not layers:
        raise InputError(
            f"got {', '.join(map(str, wrong)) or 'none'}, allowed are {-n_layers - 1} to {n_layers}; "
            "0 is the embeddings, -1 the last layer's output",
            field="layers",
        )


def _told(example: Example) -> list[object]:
    """Return what the numbers of an example depend on, but for the pixels, which the fingerprint covers."""
    return [example.id, example.question, example.hint, example.options, example.image is not None]


def _digest(inputs: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


Tick = Callable[[int, int, int], None]


def _passes(progress: Progress | None, *, n_passes: int, n_examples: int) -> Tick:
    """Return a progress of several passes over chunks as one: (done, of the pass; examples of the chunk)."""
    state = {"before": 0}

    def tick(done: int, total: int, size: int) -> None:
        step = size * done // total if total else size
        if progress is not None:
            progress(state["before"] + step, n_passes * n_examples)
        if done == total:
            state["before"] += size

    return tick
