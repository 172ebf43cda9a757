"""Which settings are tried, which are timed, and in what turn."""

import time
from collections.abc import Sequence
from dataclasses import replace

from training_speed.bench import Bench, Setting, Timing
from training_speed.search import Trial, attempt, fastest, search

from llava_core.train.batches import Row

PUBLISHED_ROWS = {"align": 16, "finetune": 4}
"""Conversations per device of LLaVA's scripts, which checkpoint."""


def published(bench: Bench) -> Setting:
    """Return the straightforward way with the settings of LLaVA's scripts."""
    rows = min(PUBLISHED_ROWS[bench.stage], bench.config.batch_size)
    return Setting(way="straightforward", piece=rows, checkpointing=True)


def try_settings(bench: Bench, rows: Sequence[Row], *, deadline: float, with_compiled: bool) -> list[Trial]:
    """Return the trials of both ways, without and with checkpointing, as published, and of ours compiled."""
    templates = [
        Setting(way=way, piece=0, checkpointing=checkpointing)
        for checkpointing in (False, True)
        for way in ("ours", "straightforward")
    ]
    begun, trials = time.monotonic(), list[Trial]()
    for number, template in enumerate(templates):
        until = begun + (deadline - begun) * (number + 1) / (len(templates) + 2 * with_compiled)
        trials += search(bench, template, rows, deadline=until, tell=tell)
    if published(bench) not in [trial.setting for trial in trials]:
        trials.append(attempt(bench, published(bench), rows))
        tell(trials[-1])
    for checkpointing in (False, True) if with_compiled else ():
        best = fastest([t for t in trials if t.setting == _ours(t.setting.piece, checkpointing)])
        if best is not None and time.monotonic() < deadline:
            trials.append(attempt(bench, replace(best.setting, compiled=True), rows))
            tell(trials[-1])
    return trials


def _ours(piece: int, checkpointing: bool) -> Setting:
    return Setting(way="ours", piece=piece, checkpointing=checkpointing)


def tell(trial: Trial) -> None:
    """Print a trial."""
    speed = "" if trial.tokens_per_s is None else f"{trial.tokens_per_s:8.0f} tokens/s"
    memory = "" if trial.peak_bytes is None else f", {trial.peak_bytes / 1e9:.1f} GB"
    print(f"tried {trial.setting!s:45}{speed}{memory}{'' if speed else trial.outcome}", flush=True)


def chosen(trials: Sequence[Trial], bench: Bench) -> list[Setting]:
    """Return what is timed, most wanted first.

    The fastest of each way, the published settings, then the fastest with the other choice of checkpointing
    and without compilation.

    Raises
    ------
    SystemExit
        If a way did not run at all.
    """
    groups: dict[tuple[str, bool, bool], list[Trial]] = {}
    for trial in trials:
        setting = trial.setting
        groups.setdefault((setting.way, setting.checkpointing, setting.compiled), []).append(trial)
    best_of_group = [best for group in groups.values() if (best := fastest(group)) is not None]
    first = [fastest([t for t in trials if t.setting.way == way]) for way in ("ours", "straightforward")]
    if None in first:
        raise SystemExit(f"stage {bench.stage}: a way fits into memory at no size")
    as_published = [t for t in trials if t.setting == published(bench) and t.tokens_per_s is not None]
    wanted = [*first, *as_published, *best_of_group]
    return list(dict.fromkeys(trial.setting for trial in wanted if trial is not None))


def those_in_time(
    settings: list[Setting], trials: Sequence[Trial], n_tokens: int, seconds: float
) -> list[Setting]:
    """Return the settings, less the last ones if steps over so many tokens would take too long; two at least.

    The first step of each setting is not timed, and takes half as long as one that is.
    """
    per_token = {trial.setting: trial.wall_s_per_token or 0.0 for trial in trials}
    while len(settings) > 2 and sum(1.1 * n_tokens * per_token[setting] for setting in settings) > seconds:
        print(f"no time for: {settings[-1]}")
        settings = settings[:-1]
    return settings


def take_turns(
    bench: Bench, settings: Sequence[Setting], batches: Sequence[Sequence[Row]]
) -> dict[Setting, list[Timing]]:
    """Return a step's timing per setting and batch; each batch begins with another setting."""
    timings: dict[Setting, list[Timing]] = {setting: [] for setting in settings}
    for setting in settings:
        bench.time_step(setting, batches[0][: len(batches[0]) // 2])
    for number, rows in enumerate(batches):
        for turn in range(len(settings)):
            setting = settings[(number + turn) % len(settings)]
            timings[setting].append(bench.time_step(setting, rows))
    return timings
