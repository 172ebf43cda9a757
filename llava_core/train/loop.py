"""The one optimisation loop: AdamW, linear warm-up, cosine to zero, gradient clipping.

Every training in this package runs through it: pre-training of the tiny CLIP and language model, and both
LLaVA stages. A step is a call that returns a loss; what it trains and on what is the caller's. Source of
the schedule: LLaVA's scripts (warm-up 3 % of the steps, cosine, no weight decay). Left out: several
devices, gradient accumulation.
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """Optimiser and schedule."""

    lr: float
    """Peak learning rate."""
    warmup_frac: float = 0.03
    """Share of the steps in which the rate rises linearly."""
    weight_decay: float = 0.0
    """On matrices only; biases, norms and embeddings of one dimension have none."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        if self.lr <= 0 or not 0 <= self.warmup_frac < 1:
            raise ValueError(
                f"got lr={self.lr}, warmup_frac={self.warmup_frac}; allowed lr > 0, 0 <= warm-up < 1"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What a training reports."""

    loss: tuple[tuple[int, float], ...]
    """(step, mean loss since the entry before), about 100 entries."""
    n_steps: int
    seconds: float
    """Wall time."""
    cpu_seconds: float
    """Processor time of this process, all threads."""


def lr_factor(step: int, n_steps: int, warmup_frac: float) -> float:
    """Return the factor on the peak rate at ``step`` (0 to n_steps - 1): linear up, cosine down to zero."""
    n_warmup = max(1, round(warmup_frac * n_steps))
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def optimise(
    parameters: Sequence[nn.Parameter],
    batches: Iterable[Batch],
    loss_of: Callable[[Batch], Tensor],
    *,
    n_steps: int,
    config: OptimConfig,
    every: int | None = None,
    progress: Progress | None = None,
) -> Trace:
    """Minimise the loss over ``batches`` by changing ``parameters``.

    Parameters
    ----------
    parameters : sequence of Parameter
        All that may change.
    batches : iterable
        At least ``n_steps`` long; read lazily.
    loss_of : callable
        Batch to scalar loss.
    n_steps : int
    config : OptimConfig
    every : int, optional
        Steps per entry of the loss curve; a hundredth of ``n_steps`` if not given.
    progress : callable, optional

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        If the batches run out, or the loss is not finite.
    """
    every = every or max(1, n_steps // 100)
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.lr,
        betas=config.betas,
        foreach=True,
    )
    curve: list[tuple[int, float]] = []
    total, counted = 0.0, 0
    started, cpu_started = time.perf_counter(), time.process_time()
    source = iter(batches)
    for step in range(n_steps):
        for group in optimizer.param_groups:
            group["lr"] = config.lr * lr_factor(step, n_steps, config.warmup_frac)
        try:
            batch = next(source)
        except StopIteration:
            raise ValueError(f"got {step} batches, expected {n_steps}") from None
        loss = loss_of(batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ValueError(f"got loss {value} at step {step}: the learning rate {config.lr} is too high")
        total, counted = total + value, counted + 1
        if (step + 1) % every == 0 or step + 1 == n_steps:
            curve.append((step + 1, total / counted))
            total, counted = 0.0, 0
        if progress is not None:
            progress(step + 1, n_steps)
    return Trace(
        loss=tuple(curve),
        n_steps=n_steps,
        seconds=time.perf_counter() - started,
        cpu_seconds=time.process_time() - cpu_started,
    )


def epochs(make_epoch: Callable[[int], Iterable[Batch]], n_steps: int) -> Iterator[Batch]:
    """Yield ``n_steps`` items from as many epochs as that takes; an epoch is made from its number."""
    done, epoch = 0, 0
    while done < n_steps:
        before = done
        for item in make_epoch(epoch):
            yield item
            done += 1
            if done == n_steps:
                return
        if done == before:
            raise ValueError("got an empty epoch: there is nothing to train on")
        epoch += 1


@contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Hold torch to ``n_threads`` threads inside the block; None leaves it at the cores it may use."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or len(os.sched_getaffinity(0)))
    try:
        yield
    finally:
        torch.set_num_threads(before)
