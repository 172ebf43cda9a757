"""One step of a stage in one process: what is made ready ahead, and the gradients."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from llava_core.checkpoint import LlavaBundle
from llava_core.errors import InputError
from llava_core.train.batches import Row, Step, deal
from llava_core.train.processes import Place, Spread
from llava_core.train.run_config import RunConfig
from llava_core.train.stage import StageConfig
from llava_core.train.vision import Vision


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Work:
    """What one process computes in one step."""

    number: int
    """Of the step, from 0."""
    step: Step
    fetched: tuple[Tensor, ...]
    """What the images of each piece hold, on the CPU."""


def prepare(
    rows: Sequence[Row],
    number: int,
    config: StageConfig,
    bundle: LlavaBundle,
    vision: Vision,
    *,
    run: RunConfig,
    here: Place,
) -> Work:
    """Return this process's part of a batch, with its images read."""
    try:
        step = deal(
            rows,
            rank=here.rank,
            world=here.world,
            packing=config.packing,
            max_tokens=run.tokens_per_piece,
            pad_token_id=bundle.pad_token_id,
        )
    except ValueError as error:
        raise InputError(str(error), field="tokens_per_piece") from None
    return Work(number=number, step=step, fetched=tuple(vision.fetch(piece.images) for piece in step.pieces))


def gradients_of(
    work: Work,
    config: StageConfig,
    bundle: LlavaBundle,
    over: Spread,
    vision: Vision,
    *,
    here: Place,
    seed: int,
) -> Tensor:
    """Return the loss of a whole batch, and leave its gradients in what learns.

    Raises
    ------
    InputError
        If the device's memory is too small for a piece.
    """
    total = torch.zeros((), device=here.device)
    pieces = list(zip(work.step.pieces, work.fetched, strict=True))
    try:
        with _noise_of_step(config, (seed, work.number, here.rank), here):
            for left, (piece, fetched) in zip(reversed(range(len(pieces))), pieces, strict=True):
                with over.holding_back(left > 0):
                    with over.arithmetic():
                        loss = over.run(
                            _moved(piece.input_ids, here),
                            _moved(piece.attention_mask, here),
                            _moved(piece.labels, here),
                            vision.features(fetched),
                            lengths=piece.lengths,
                            n_supervised=work.step.n_supervised,
                        ).loss
                    # Gradients are averaged over the processes, while the pieces' losses add up.
                    (loss * here.world).backward()
                total += loss.detach()
    except torch.OutOfMemoryError:
        raise InputError(
            f"ran out of memory in step {work.number} with pieces of up to "
            f"{max(piece.n_tokens for piece, _ in pieces)} tokens; lower it and go on from the last state",
            field="tokens_per_piece",
        ) from None
    if not work.step.has_image:
        # Its gradient is zero rather than none, and AdamW would move it on by its momentum.
        for parameter in bundle.model.projector.parameters():
            parameter.grad = None
    return here.total(total)


def _moved(tensor: Tensor | None, here: Place) -> Tensor | None:
    return None if tensor is None else tensor.to(here.device, non_blocking=True)


@contextmanager
def _noise_of_step(config: StageConfig, key: tuple[int, ...], here: Place) -> Iterator[None]:
    """Let dropout depend on seed, step and process alone, so that a step can be done again."""
    if config.lora is None:
        yield
        return
    devices = [here.device] if here.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1))
        yield
