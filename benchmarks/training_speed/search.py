"""Looks for the size at which a way is fastest: doubles it until memory or speed speaks against more."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from training_speed.bench import Bench, Setting, Timing

from llava_core.errors import InputError
from llava_core.train.batches import Row
from llava_core.train.memory_plan import free_bytes

FIRST_TOKENS = 2048
"""At once, in the first trial of ours."""
MEMORY_FRAC = 0.97
"""Share of the device's memory beyond which a size is not tried: predicted from the two sizes before."""
WORSE = 0.95
"""Share of the best speed below which doubling stops; so do two sizes in a row that bring nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A setting that was tried, and what came of it."""

    setting: Setting
    tokens_per_s: float | None
    """Without padding; None where it failed."""
    wall_s_per_token: float | None
    """By which the time of more steps is told ahead, on a CPU too."""
    peak_bytes: int | None
    outcome: str
    """ran, or why not."""


def cost(timing: Timing, device: torch.device) -> float:
    """Return what a step cost: seconds on a GPU; CPU-seconds on a CPU, which others may share."""
    return timing.seconds if device.type == "cuda" else timing.cpu_seconds


def first_sizes(bench: Bench, rows: Sequence[Row], way: str) -> list[int]:
    """Return the sizes to try, ascending: tokens a piece, or conversations a micro-batch.

    On a GPU, which is slow at less, both begin at about 2048 tokens.
    """
    n_tokens = sum(row.n_tokens for row in rows)
    if way == "ours":
        size, most = FIRST_TOKENS, n_tokens
    else:
        size, most = 1, len(rows)
        while bench.here.device.type == "cuda" and 2 * size * n_tokens <= FIRST_TOKENS * len(rows):
            size *= 2
    sizes = [size]
    while sizes[-1] < most:
        sizes.append(2 * sizes[-1])
    return sizes


def search(
    bench: Bench, template: Setting, rows: Sequence[Row], *, deadline: float, tell: Callable[[Trial], None]
) -> list[Trial]:
    """Return the trials of one way, sizes doubled.

    Parameters
    ----------
    bench : Bench
    template : Setting
        All but the size.
    rows : sequence of Row
        One batch; a trial takes half of it, or as much as its size needs.
    deadline : float
        On ``time.monotonic``'s clock; no trial begins after it.
    tell : callable
        Called with each trial.
    """
    trials: list[Trial] = []
    best, idle = 0.0, 0  # speed so far; sizes since it last rose
    for size in first_sizes(bench, rows, template.way):
        if trials and time.monotonic() > deadline:
            break
        needed = _predicted_bytes(trials)
        if needed is not None and needed > MEMORY_FRAC * _device_bytes(bench.here.device):
            trials.append(
                Trial(
                    setting=replace(template, piece=size),
                    tokens_per_s=None,
                    wall_s_per_token=None,
                    peak_bytes=None,
                    outcome=f"not run: would need {needed / 1e9:.0f} GB",
                )
            )
            tell(trials[-1])
            break
        trials.append(attempt(bench, replace(template, piece=size), rows))
        tell(trials[-1])
        speed = trials[-1].tokens_per_s
        if speed is None:
            break
        idle = 0 if speed > best else idle + 1
        best = max(best, speed)
        if speed < WORSE * best or idle == 2:
            break
    return trials


def attempt(bench: Bench, setting: Setting, rows: Sequence[Row]) -> Trial:
    """Return how fast a setting is, after a first step that is not timed; a model out of memory is remade."""
    by_rows = [row.n_tokens for row in rows]
    per_piece = setting.piece if setting.way != "ours" else -(-setting.piece * len(rows) // sum(by_rows))
    n_rows = min(len(rows), max(len(rows) // 2, per_piece))
    try:
        # The first row of another length is compiled once more.
        n_warm = n_rows if setting.compiled else min(n_rows, per_piece)
        first = bench.time_step(setting, rows[:n_warm], fresh=True)
        timing = bench.time_step(setting, rows[:n_rows])
    except (torch.OutOfMemoryError, InputError) as error:
        if isinstance(error, InputError) and error.field != "tokens_per_piece":
            raise
        failure = "out of memory"
    except Exception as error:
        if not setting.compiled:
            raise
        failure = f"not compiled: {type(error).__name__}"  # what is told is that it did not work here
    else:
        return Trial(
            setting=setting,
            tokens_per_s=timing.n_tokens / cost(timing, bench.here.device),
            wall_s_per_token=timing.seconds / timing.n_tokens,
            peak_bytes=max((t.peak_bytes for t in (first, timing) if t.peak_bytes is not None), default=None),
            outcome="ran",
        )
    gc.collect()
    bench.rebuild()
    return Trial(setting=setting, tokens_per_s=None, wall_s_per_token=None, peak_bytes=None, outcome=failure)


def fastest(trials: Sequence[Trial]) -> Trial | None:
    """Return the fastest trial that ran."""
    ran = [trial for trial in trials if trial.tokens_per_s is not None]
    return max(ran, key=lambda trial: trial.tokens_per_s or 0.0, default=None)


def _predicted_bytes(trials: Sequence[Trial]) -> float | None:
    """Return the peak at twice the size of the last trial, if memory grows as it did before."""
    peaks = [trial.peak_bytes for trial in trials[-2:]]
    if len(peaks) < 2 or None in peaks:
        return None
    before, last = (float(peak or 0) for peak in peaks)
    return last + 2 * (last - before)


def _device_bytes(device: torch.device) -> float:
    """Return the device's memory: a GPU's in all, of the machine what is free."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[1])
    return free_bytes(device)
