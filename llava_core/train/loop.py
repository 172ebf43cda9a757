"""The one optimisation loop: AdamW, linear warm-up, cosine to zero, gradient clipping.

Every training in this package runs through it: pre-training of the tiny CLIP and language model, and both
LLaVA stages, on one device or many. A step is a call that leaves gradients and returns a loss; what it trains
and on what is the caller's. Source of the schedule: LLaVA's scripts (warm-up 3 % of the steps, cosine, no
weight decay).
"""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from llava_core.errors import InputError

Batch = TypeVar("Batch")

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimConfig:
    """Optimiser and schedule."""

    lr: float
    """Peak learning rate."""
    projector_lr: float | None = None
    """Peak rate of the projector, where it differs."""
    warmup_frac: float = 0.03
    """Share of the steps in which the rate rises linearly."""
    weight_decay: float = 0.0
    """On matrices only; biases, norms and embeddings of one dimension have none."""
    clip_norm: float = 1.0
    """Largest norm of the gradient."""
    betas: tuple[float, float] = (0.9, 0.999)

    def __post_init__(self) -> None:
        rates = [self.lr] if self.projector_lr is None else [self.lr, self.projector_lr]
        if not all(0 < rate < math.inf for rate in rates) or not 0 <= self.warmup_frac < 1:
            raise ValueError(
                f"got lr={self.lr}, projector_lr={self.projector_lr}, warmup_frac={self.warmup_frac}; "
                "allowed rates > 0, 0 <= warm-up < 1"
            )
        if not 0 <= self.weight_decay < math.inf or not self.clip_norm > 0:
            raise ValueError(
                f"got weight_decay={self.weight_decay}, clip_norm={self.clip_norm}; "
                "allowed weight_decay >= 0, clip_norm > 0"
            )
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"got betas={self.betas}, allowed are two numbers from 0 to below 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class Trace:
    """What a training reports, or has reported so far."""

    loss: tuple[tuple[int, float], ...] = ()
    """(step, mean loss since the entry before), about 100 entries."""
    n_steps: int = 0
    seconds: float = 0.0
    """Wall time."""
    cpu_seconds: float = 0.0
    """Processor time of this process, all threads."""
    open_loss: tuple[float, ...] = ()
    """Losses since the last entry."""


def lr_factor(step: int, n_steps: int, warmup_frac: float) -> float:
    """Return the factor on the peak rate at ``step`` (0 to n_steps - 1): linear up, cosine down to zero."""
    n_warmup = max(1, round(warmup_frac * n_steps))
    if step < n_warmup:
        return (step + 1) / n_warmup
    return 0.5 * (1 + math.cos(math.pi * (step - n_warmup) / max(1, n_steps - n_warmup)))


def make_optimizer(
    parameters: Sequence[nn.Parameter],
    config: OptimConfig,
    *,
    projector: Iterable[nn.Parameter] = (),
) -> torch.optim.AdamW:
    """Return AdamW over ``parameters``, those of the projector at their own rate; fused on a GPU."""
    of_projector = {id(parameter) for parameter in projector}
    rates = {False: config.lr, True: config.projector_lr or config.lr}
    groups = []
    for is_projector in (False, True) if config.projector_lr else (False,):
        mine = [p for p in parameters if not config.projector_lr or (id(p) in of_projector) == is_projector]
        for is_matrix, decay in ((True, config.weight_decay), (False, 0.0)):
            chosen = [p for p in mine if (p.ndim > 1) == is_matrix]
            peak = rates[is_projector]
            groups.append({"params": chosen, "weight_decay": decay, "lr": peak, "peak_lr": peak})
    fused = bool(parameters) and parameters[0].is_cuda
    return torch.optim.AdamW(groups, betas=config.betas, fused=fused or None, foreach=None if fused else True)


def optimise(
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    batches: Iterable[Batch],
    gradients_of: Callable[[Batch], Tensor],
    *,
    n_steps: int,
    config: OptimConfig,
    every: int | None = None,
    progress: Progress | None = None,
    before: Trace | None = None,
    after_step: Callable[[Trace], None] | None = None,
) -> Trace:
    """Minimise the loss over ``batches`` by changing ``parameters``.

    Parameters
    ----------
    parameters : sequence of Parameter
        All that may change.
    optimizer : Optimizer
        From `make_optimizer`, over the same parameters.
    batches : iterable
        One item per step that is still to do; read lazily.
    gradients_of : callable
        Batch to its loss, a scalar; leaves the gradients in the parameters. See `gradients`.
    n_steps : int
        Steps in all.
    config : OptimConfig
    every : int, optional
        Steps per entry of the loss curve; a hundredth of ``n_steps`` if not given.
    progress : callable, optional
    before : Trace, optional
        What an earlier part of this training reported; its steps are not done again.
    after_step : callable, optional
        Called after each step with the trace so far.

    Returns
    -------
    Trace

    Raises
    ------
    ValueError
        If the batches run out, or, as InputError, the loss is not finite.
    """
    every = every or max(1, n_steps // 100)
    trace = before or Trace()
    past, past_cpu = trace.seconds, trace.cpu_seconds
    started, cpu_started = time.perf_counter(), time.process_time()
    source = iter(batches)
    for step in range(trace.n_steps, n_steps):
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * lr_factor(step, n_steps, config.warmup_frac)
        try:
            batch = next(source)
        except StopIteration:
            raise ValueError(f"got {step} batches, expected {n_steps}") from None
        optimizer.zero_grad(set_to_none=True)
        value = float(gradients_of(batch))
        if not math.isfinite(value):
            raise InputError(
                f"got loss {value} at step {step}: the learning rate {config.lr} is too high", field="lr"
            )
        torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
        optimizer.step()
        losses = (*trace.open_loss, value)
        curve = trace.loss
        if (step + 1) % every == 0 or step + 1 == n_steps:
            curve, losses = (*curve, (step + 1, sum(losses) / len(losses))), ()
        trace = replace(
            trace,
            loss=curve,
            open_loss=losses,
            n_steps=step + 1,
            seconds=past + time.perf_counter() - started,
            cpu_seconds=past_cpu + time.process_time() - cpu_started,
        )
        if after_step is not None:
            after_step(trace)
        if progress is not None:
            progress(step + 1, n_steps)
    return trace


def gradients(loss_of: Callable[[Batch], Tensor]) -> Callable[[Batch], Tensor]:
    """Return a step for `optimise` out of a loss that one device computes in one piece."""

    def step(batch: Batch) -> Tensor:
        loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return step


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


def _own_threads() -> int:
    """Threads of ``OMP_NUM_THREADS``, else this process's share of the cores it may use."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    n_processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return int(given) if given.isdigit() else max(1, len(os.sched_getaffinity(0)) // n_processes)


@contextmanager
def threads(n_threads: int | None) -> Iterator[None]:
    """Hold torch to ``n_threads`` threads inside the block; None: those the environment leaves it."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads or _own_threads())
    try:
        yield
    finally:
        torch.set_num_threads(before)
