"""From timings to medians, ratios and a table of 80 columns."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from training_speed.bench import Setting, Timing
from training_speed.search import cost

from llava_core.train.batches import Row
from llava_core.train.flops import Shape, align_step, finetune_step, head_forward, n_decoder

RATIOS = {
    "straightforward": "ours over the straightforward way at its best",
    "published": "ours over it with the settings of LLaVA's scripts (*)",
}


def medians(
    timings: Sequence[Timing], *, peak_flops: float, peak_bytes: int | None, device: torch.device
) -> dict[str, Any]:
    """Return medians over the steps of a setting."""
    middle = statistics.median
    peaks = [p for p in (peak_bytes, *(timing.peak_bytes for timing in timings)) if p is not None]
    return {
        "samples_per_s": middle(t.n_rows / cost(t, device) for t in timings),
        "tokens_per_s": middle(t.n_tokens / cost(t, device) for t in timings),
        "mfu": middle(t.flops / cost(t, device) for t in timings) / peak_flops,
        "peak_gb": max(peaks) / 1e9 if peaks else None,
        "padded_frac": middle(t.padded_frac for t in timings),
        "step_wall_s": [t.seconds for t in timings],
        "step_cpu_s": [t.cpu_seconds for t in timings],
        "losses": [t.loss for t in timings],
    }


def ratio(fast: Sequence[Timing], slow: Sequence[Timing], device: torch.device) -> dict[str, float]:
    """Return by what factor the first is faster on the same batches: median, least, most."""
    ratios = [cost(b, device) / cost(a, device) for a, b in zip(fast, slow, strict=True)]
    return {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)}


def print_table(table: Mapping[Setting, Mapping[str, Any]], *, published: Setting) -> None:
    """Print a line per setting."""
    print(
        f"{'way':17}{'at once':>12}{'ckpt':>5}{'samples/s':>11}{'tokens/s':>10}{'MFU':>6}{'GB':>8}{'pad':>6}"
    )
    for setting, row in table.items():
        unit = "tokens" if setting.way == "ours" else "rows"
        name = (
            f"{setting.way}{', compiled' if setting.compiled else ''}{' *' if setting == published else ''}"
        )
        memory = "-" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
        print(
            f"{name:17}{f'{setting.piece} {unit}':>12}{'yes' if setting.checkpointing else 'no':>5}"
            f"{row['samples_per_s']:>11.2f}{row['tokens_per_s']:>10.0f}{100 * row['mfu']:>5.0f}%{memory:>8}"
            f"{100 * row['padded_frac']:>5.0f}%"
        )


def data_facts(rows: Sequence[Row], n_image_tokens: int) -> dict[str, float]:
    """Return means over the conversations."""
    return {
        "n_conversations": len(rows),
        "image_tokens": n_image_tokens,
        "mean_text_tokens": statistics.fmean(row.n_tokens - n_image_tokens for row in rows),
        "mean_supervised_tokens": statistics.fmean(row.n_supervised for row in rows),
        "most_tokens": max(row.n_tokens for row in rows),
    }


def mean_operations(shape: Shape, stage: str, rows: Sequence[Row]) -> dict[str, float]:
    """Return what a conversation needs, and what the straightforward way does beyond that, as shares of it.

    Beyond it are the head at positions that carry no loss, and the vision tower where features could be kept.
    Padding depends on the batch, and stands in the table.
    """
    count = align_step if stage == "align" else finetune_step
    needed = sum(count(shape, row.n_tokens, row.n_supervised) for row in rows)
    kept = sum(count(shape, row.n_tokens, row.n_supervised, live=False) for row in rows)
    passes = 2 if stage == "align" else 3
    silent = sum(passes * head_forward(shape, row.n_tokens - row.n_supervised) for row in rows)
    return {
        "tflop_per_sample": needed / len(rows) / 1e12,
        "head_at_silent_positions": silent / needed,
        "vision_tower": 1 - kept / needed,
        "head_over_decoder_weights": shape.vocab_size * shape.dim_llm / n_decoder(shape),
    }
