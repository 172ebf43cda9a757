"""Runs one stage: examples and a bundle in, a checkpoint out [edge].

The vision tower runs once per image before the first step; its features are kept and reused in every epoch,
which is exact since the tower is frozen. A finished stage is kept: the checkpoint carries a hash of all
that went into it, and a call with the same inputs returns it at once. Left out: caching features on disk,
which a data set of full size needs.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llava_core.checkpoint import LlavaBundle, load_checkpoint, save_checkpoint
from llava_core.data.collate import length_grouped_batches, pad_batch
from llava_core.data.conversation import TEMPLATES, Encoded, Turn, encode
from llava_core.data.example import Example
from llava_core.data.images import load_pixels
from llava_core.errors import InputError
from llava_core.model.llava import hf_names
from llava_core.model.projector import initialise
from llava_core.train.loop import Progress, epochs, optimise, threads
from llava_core.train.stage import StageConfig, conversation, described, description, usable

Batch = tuple[list[Encoded], Tensor | None]
Make = Callable[[StageConfig, Example, np.random.Generator], list[Turn]]

RECIPE_VERSION = 2
"""Raised when the code changes what a stage computes, so that older checkpoints are not reused."""


def run_stage(
    config: StageConfig,
    bundle: LlavaBundle,
    examples: Sequence[Example],
    *,
    out: Path,
    seed: int,
    n_threads: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train ``bundle`` in place and write it as a checkpoint.

    Parameters
    ----------
    config : StageConfig
    bundle : LlavaBundle
        Where training starts from. Left as it is where a checkpoint of the same inputs stands at ``out``
        already.
    examples : sequence of Example
        Those that make no conversation in this stage are passed over; the checkpoint counts them.
    out : Path
        Folder of the checkpoint.
    seed : int
        Of the fresh projector, the batches and the option order.
    n_threads : int, optional
        Threads of torch; all cores this process may use if not given.
    progress : callable, optional
        Called with steps done and steps in all.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If no example makes a conversation, or an image cannot be read.
    """
    taken = usable(config, examples)
    if not taken:
        raise InputError(f"got no example that stage {config.name!r} can learn {config.tasks} from")
    inputs = inputs_hash(config, bundle, taken, seed=seed)
    if _is_finished(out, inputs):
        return out
    with threads(n_threads):
        features = cache_features(bundle, taken)
        meta = _train(config, bundle, taken, features, seed=seed, progress=progress)
    meta |= {
        "stage": asdict(config),
        "inputs": inputs,
        "seed": seed,
        "n_examples": len(taken),
        "n_passed_over": len(examples) - len(taken),
    }
    seen = bundle.seen_ids | {example.id for example in taken}
    return save_checkpoint(replace(bundle, meta=meta), out, stage=config.name, seen_ids=seen)


def cache_features(
    bundle: LlavaBundle, examples: Sequence[Example], *, batch_size: int = 128
) -> Mapping[str, Tensor]:
    """Return patch features (patches, dim_vision) by example id, for the examples that have an image."""
    shown = [(example.id, example.image) for example in examples if example.image is not None]
    features: dict[str, Tensor] = {}
    for start in range(0, len(shown), batch_size):
        part = shown[start : start + batch_size]
        pixels = load_pixels([image for _, image in part], bundle.image_processor)
        found = bundle.model.vision_features(pixels)
        features |= {id_: row for (id_, _), row in zip(part, found, strict=True)}
    return features


def inputs_hash(config: StageConfig, bundle: LlavaBundle, examples: Sequence[Example], *, seed: int) -> str:
    """Return a SHA-256 over all that decides the outcome: weights, configuration, examples, images, seed."""
    digest = hashlib.sha256()
    header = {
        "recipe_version": RECIPE_VERSION,
        "stage": asdict(config),
        "template": asdict(bundle.template),
        "seed": seed,
        "seen": sorted(bundle.seen_ids),
        "tokenizer": bundle.tokenizer.backend_tokenizer.to_str(),
    }
    digest.update(json.dumps(header, sort_keys=True).encode())
    for name, tensor in sorted(hf_names(bundle.model).items()):
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    for example in examples:
        fields = (
            example.id,
            example.question,
            example.options,
            example.answer,
            example.hint,
            example.caption,
        )
        digest.update(json.dumps(fields).encode())
        if example.image is not None:
            try:
                digest.update(example.image.read_bytes())
            except FileNotFoundError:
                raise InputError("no such image file", path=example.image, record=example.id) from None
    return digest.hexdigest()


def _train(
    config: StageConfig,
    bundle: LlavaBundle,
    examples: Sequence[Example],
    features: Mapping[str, Tensor],
    *,
    seed: int,
    progress: Progress | None,
) -> dict[str, Any]:
    model, rng = bundle.model, np.random.default_rng(seed)
    template = TEMPLATES[config.template]
    if config.new_projector and features:
        sample = torch.stack(list(features.values())[:1024])
        embeddings = model.llm.get_input_embeddings().weight
        initialise(model.projector, sample, embeddings, generator=torch.Generator().manual_seed(seed))
    model.projector.requires_grad_("projector" in config.trains)
    model.llm.requires_grad_("llm" in config.trains)
    model.train()

    def passes(taken: Sequence[Example], make: Make, n_epochs: float) -> tuple[int, Iterator[Batch]]:
        """Return the steps that so many passes take, and their batches."""
        wanted = n_epochs * -(-len(taken) // config.batch_size)
        n_steps = max(1, round(wanted)) if wanted else 0

        def one_pass(_: int) -> Iterator[Batch]:
            rows = [
                encode(
                    make(config, example, rng),
                    bundle.tokenizer,
                    template,
                    bundle.n_image_tokens,
                    max_tokens=config.max_tokens,
                )
                for example in taken
            ]
            lengths = [len(row.input_ids) for row in rows]
            for batch in length_grouped_batches(lengths, config.batch_size, rng):
                shown = [features[id_] for index in batch if (id_ := taken[index].id) in features]
                yield [rows[index] for index in batch], torch.stack(shown) if shown else None

        return n_steps, epochs(one_pass, n_steps)

    def loss_of(batch: Batch) -> Tensor:
        input_ids, mask, labels = pad_batch(batch[0], bundle.pad_token_id)
        loss: Tensor = model(input_ids, mask, labels, batch[1]).loss
        return loss

    n_before, before = passes(described(examples), description, config.describe_epochs)
    n_own, own = passes(examples, conversation, config.n_epochs)
    trace = optimise(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
        chain(before, own),
        loss_of,
        n_steps=n_before + n_own,
        config=config.optim,
        progress=progress,
    )
    model.requires_grad_(False).eval()
    return asdict(trace)


def _is_finished(out: Path, inputs: str) -> bool:
    """Whether a whole checkpoint of the same inputs stands at ``out``."""
    try:
        return load_checkpoint(out).meta.get("inputs") == inputs
    except InputError:
        return False
