"""All embeddings and scores that a trained LLaVA gives for questions, into a feature store [edge].

The blocks are listed in `llava_core.features.chunk`. A checkpoint without CLIP's text tower and projections
gives no clip_image, clip_text and clip_similarity; the manifest says so under ``left_out``.

Questions are done in chunks, see `llava_core.features.parts`: a chunk's numbers depend on its own questions
only, so that, on machines of one kind, the store is the same, byte for byte, whichever processes made it.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from llava_core.checkpoint import LlavaBundle, checkpoint_hash, load_checkpoint
from llava_core.checkpoint.load import folder_hash, says_what_it_saw
from llava_core.checkpoint.sources import find_folder
from llava_core.claims import check_writable
from llava_core.data.example import Example
from llava_core.data.prompts import PROMPTS
from llava_core.errors import InputError
from llava_core.features.chunk import LEVELS, N_PASSES, NEED_CLIP, Tick, make_chunk
from llava_core.features.images import align_projector, feature_bytes
from llava_core.features.parts import Parts
from llava_core.features.store import MANIFEST_FILE, MARKS, Block, FeatureStore, write_store
from llava_core.folders import check_replaceable, clear_drafts
from llava_core.inference.asking import asking_bytes
from llava_core.inference.replies import own_decoding
from llava_core.memory import announce

VERSION = 1
"""To be raised with any change of the numbers, so that chunks of two versions are never joined."""
LAYERS = (-3, -1)
"""Kept hidden states of the language model: -1 is the last layer's output, 0 would be the embeddings."""
CHUNK_BYTES = 1 << 29
"""Of the patch features that a chunk keeps in memory."""
MOST_QUESTIONS, FEWEST_QUESTIONS = 8192, 64
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
    prompt: str | None = None,
    layers: Sequence[int] = LAYERS,
    clip_layers: Sequence[int] = (),
    shard: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
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
    prompt : str, optional
        How questions are asked, of `llava_core.data.prompts`; as the checkpoint says, if not given.
    layers : sequence of int
        Kept hidden states of the language model.
    clip_layers : sequence of int
        Kept hidden states of the vision tower, in their means over the patches: 0 is the embeddings, -1 the
        last layer's output before the final layer norm. Of none, there is no block clip_layers.
    shard : tuple of int
        Which process this is, from 0, and how many there are.
    progress : callable, optional
        Called with (steps done, steps in all); a step is an example in one pass.
    tell : callable, optional
        Called with the line that says how much main memory this process will hold at most, on a CPU.

    Returns
    -------
    Path or None
        ``out``; None while chunks of other processes are missing. The last one to end joins them.

    Raises
    ------
    InputError
        If a checkpoint is not whole, an image cannot be read, or there is no such layer or prompt.
    """
    if not examples:
        raise ValueError("got no examples")
    check_replaceable(out, marks=MARKS)
    check_writable(out.parent, place=out)
    made_by = {
        "data_fingerprint": data_fingerprint,
        "checkpoints": {stage: checkpoint_hash(path) for stage, path in checkpoints.items()},
        "clip": None if clip is None else folder_hash(find_folder(clip)),
        "llm_hidden_layers": list(layers),
        "dtype": str(dtype).removeprefix("torch."),
        **({} if prompt is None else {"prompt": prompt}),
        **({"clip_layers": list(clip_layers)} if clip_layers else {}),
    }
    key = _digest({**made_by, "version": VERSION, "examples": [_told(example) for example in examples]})
    if _is_made(out, key):
        # Whoever made it may have been killed before its scratch files were removed.
        Parts(out=out, key=key, n_chunks=0).remove()
        clear_drafts(out)
        return out
    bundle = load_checkpoint(checkpoints["finetune"], device=device, dtype=dtype, clip=clip, prompt=prompt)
    _check_layers("layers", layers, n_layers=bundle.model.llm.config.num_hidden_layers)
    if clip_layers:
        n_clip_layers = bundle.model.vision_tower.config.num_hidden_layers
        _check_layers("clip_layers", clip_layers, n_layers=n_clip_layers)
    align = align_projector(checkpoints["align"], bundle) if "align" in checkpoints else None
    size = max(FEWEST_QUESTIONS, min(MOST_QUESTIONS, CHUNK_BYTES // feature_bytes(bundle)))
    chunks = [examples[start : start + size] for start in range(0, len(examples), size)]
    if bundle.model.device.type == "cpu":
        more = min(size, len(examples)) * feature_bytes(bundle) + _asking_bytes(bundle, examples)
        line = announce("extraction", more)
        if tell is not None:
            tell(line)
    parts = Parts(out=out, key=key, n_chunks=len(chunks))
    mine = range(shard[0], len(chunks), shard[1])
    tick = _passes(progress, n_passes=N_PASSES, n_examples=sum(len(chunks[number]) for number in mine))
    for number in mine:
        if parts.has(number):
            for _ in range(N_PASSES):
                tick(1, 1, len(chunks[number]))
        else:
            made = make_chunk(
                bundle, chunks[number], align=align, layers=layers, clip_layers=clip_layers, tick=tick
            )
            parts.write(number, *made)
    with parts.joining() as is_whole:
        if is_whole:
            _join(
                parts, examples, bundle, made_by, known=says_what_it_saw(checkpoints["finetune"]), align=align
            )
    if is_whole:
        return out
    if not _is_made(out, key):
        return None
    parts.remove()  # chunks that this process did as well as another, which has joined them
    return out


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
        and not (name == "clip_layers" and name not in made_by)
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
            **({"clip_layers": made_by["clip_layers"]} if "clip_layers" in made_by else {}),
        },
        "inputs": parts.key,
        "knows_seen_in_training": known,
        "left_out": {} if bundle.clip is not None else dict.fromkeys(NEED_CLIP, WITHOUT_CLIP),
        **parts.counts(),
    }
    blocks = {name: Block(level=LEVELS[name], array=parts.block(name)) for name in names}
    write_store(parts.out, rows=rows, blocks=blocks, meta=meta)


def _asking_bytes(bundle: LlavaBundle, examples: Sequence[Example]) -> float:
    prompt = PROMPTS[bundle.prompt]
    n_more = own_decoding(prompt).max_new_tokens if prompt.two_pass else 0
    return asking_bytes(bundle, examples, n_more_tokens=n_more)


def _is_made(out: Path, key: str) -> bool:
    """Whether a whole store of these inputs is there."""
    if not (out / MANIFEST_FILE).is_file():
        return False
    try:
        return FeatureStore.open(out).manifest.get("inputs") == key
    except InputError:
        return False


def _check_layers(field: str, layers: Sequence[int], *, n_layers: int) -> None:
    wrong = [layer for layer in layers if not -n_layers - 1 <= layer <= n_layers]
    if wrong or not layers:
        raise InputError(
            f"got {', '.join(map(str, wrong)) or 'none'}, allowed are {-n_layers - 1} to {n_layers}; "
            "0 is the embeddings, -1 the last layer's output",
            field=field,
        )


def _told(example: Example) -> list[object]:
    """Return what the numbers of an example depend on, but for the pixels, which the fingerprint covers."""
    return [example.id, example.question, example.hint, example.options, example.image is not None]


def _digest(inputs: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


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
