"""Speed of both training stages at full size, beside the straightforward way, in one run.

    python benchmarks/train_gpu.py [--size 7b] [--stage 1,2] [--budget-s 540] [--out FOLDER]
    taskset -c 1 python benchmarks/train_gpu.py --size small --device cpu        # without a GPU

Random weights, drawn ids: 256 image tokens and 20 (stage 1) or 300 (stage 2) text tokens on average, lengths
spread as told in `training_speed.conversations`, 128 and 32 conversations a step as LLaVA has them. Ours is
what ``llava align`` and ``llava finetune`` run; the straightforward way is the stock class on padded batches,
logits of all positions, the vision tower in every step. Both have the same weights, optimiser, precision
and conversations; that they give the same loss and gradients is checked first. Each way is timed at the size
that suits it best, with and without gradient checkpointing, as well as with the settings of LLaVA's own
scripts (16 and 4 rows, checkpointing). The ways take turns, a step each over the same batch.

``samples/s`` are conversations. ``MFU`` is the operations that a step needs (`llava_core.train.flops`, no
padding, nothing that is computed again) over what a large matrix product reaches on the same device in the
same run. On a CPU all speeds are per CPU-second, and memory is what the process held resident. Stage 2 needs
16 bytes per weight; where the device has less memory than that, fewer layers of the same width are trained,
which is told.
"""

import argparse
import json
import os
import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from training_speed.bench import N_IMAGES, Bench, Setting
from training_speed.choose import chosen, published, take_turns, those_in_time, try_settings
from training_speed.conversations import draw, drawn_histogram, histogram
from training_speed.machine import described, forget_model, matmul_flops_per_s
from training_speed.report import RATIOS, data_facts, mean_operations, medians, print_table, ratio
from training_speed.two_ways import SIZES

from llava_core.errors import InputError
from llava_core.train.batches import Row
from llava_core.train.processes import choose_device

STAGES = {"1": "align", "2": "finetune"}
GOALS = {"align": 64, "finetune": 21}
"""Samples per second asked for at 7B on one H200."""
SEARCH_FRAC = 0.5
"""Share of a stage's time after which no further setting is tried."""
LOSS_RTOL, GRADIENT_RTOL, LOSS_RTOL_BF16 = 1e-5, 1e-4, 2e-2


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(
        description="Speed of both training stages, beside the straightforward way."
    )
    parser.add_argument("--size", choices=SIZES, default="7b")
    parser.add_argument("--stage", default="1,2", help="1, 2 or 1,2")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--budget-s", type=float, default=540, help="seconds for all of it")
    parser.add_argument("--repeats", type=int, default=5, help="timed steps per setting")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="also ours compiled; on a GPU if not given"
    )
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")), help="folder")
    given = parser.parse_args(arguments)
    numbers = given.stage.split(",")
    if not set(numbers) <= set(STAGES):
        parser.error(f"argument --stage: got {given.stage!r}, allowed are 1, 2 and 1,2")
    try:
        device = choose_device(given.device)
    except InputError as error:
        parser.error(str(error))
    # Pieces differ in length: segments that grow are not left behind as fragments.
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    begun = time.monotonic()
    machine = described(device)
    print(" ".join(f"{name}={value}" for name, value in machine.items() if value is not None))
    equal = check_equal(device)
    peak = matmul_flops_per_s(device)
    print(f"large matrix product: {peak / 1e12:.3g} TFLOP/s", flush=True)
    results = {}
    for done, number in enumerate(numbers):
        left = given.budget_s - (time.monotonic() - begun)
        results[STAGES[number]] = measure_stage(
            STAGES[number],
            size=given.size,
            device=device,
            peak_flops=peak,
            n_repeats=given.repeats,
            seconds=left / (len(numbers) - done),
            with_compiled=device.type == "cuda" if given.compile is None else given.compile,
        )
        forget_model(device)
    written = {
        "command": shlex.join(["python", "benchmarks/train_gpu.py", *(arguments or sys.argv[1:])]),
        "machine": machine,
        "matmul_tflops_per_s": peak / 1e12,
        "equality": equal,
        "seconds": time.monotonic() - begun,
        "stages": results,
    }
    given.out.mkdir(parents=True, exist_ok=True)
    path = given.out / f"train_gpu_{given.size}_{device.type}.json"
    path.write_text(json.dumps(written, indent=1) + "\n")
    print(f"\n{path} after {written['seconds']:.0f} s")


def check_equal(device: torch.device) -> dict[str, Any]:
    """Return by how much loss and gradients of the two ways differ on the same tiny model.

    Raises
    ------
    SystemExit
        If by more than rounding explains.
    """
    found = {}
    ours, plain = Setting(way="ours", piece=1500), Setting(way="straightforward", piece=4)
    for stage in STAGES.values():
        bench = Bench("tiny", stage, device=device, precision="fp32")
        rows = drawn(bench, 8, seed=0)
        loss, gradients = bench.loss_and_gradients(ours, rows)
        expected, expected_gradients = bench.loss_and_gradients(plain, rows)
        pairs = zip(gradients, expected_gradients, strict=True)
        largest = max(float(gradient.abs().max()) for gradient in expected_gradients)
        apart = max(float((a - b).abs().max()) for a, b in pairs) / largest
        found[stage] = {"loss": loss, "loss_straightforward": expected, "gradients_apart": apart}
        print(
            f"{stage}: loss {loss:.6f} ours, {expected:.6f} straightforward; gradients apart by {apart:.0e}"
        )
        if abs(loss - expected) > LOSS_RTOL * expected or apart > GRADIENT_RTOL:
            raise SystemExit("the two ways do not compute the same")
        if device.type == "cuda":  # another attention kernel runs in bfloat16
            half = Bench("tiny", stage, device=device)
            for name, setting in (
                ("bf16", ours),
                ("bf16_compiled", replace(ours, compiled=True, checkpointing=True)),
            ):
                loss, _ = half.loss_and_gradients(setting, rows)
                found[stage][f"loss_{name}"] = loss
                print(f"{stage}: loss {loss:.6f} ours, {name}")
                if abs(loss - expected) > LOSS_RTOL_BF16 * expected:
                    raise SystemExit(f"ours does not compute the same, {name}")
    return found


def measure_stage(
    stage: str,
    *,
    size: str,
    device: torch.device,
    peak_flops: float,
    n_repeats: int,
    seconds: float,
    with_compiled: bool,
) -> dict[str, Any]:
    """Return, and print, all that is measured of a stage in about so many seconds."""
    begun = time.monotonic()
    bench = Bench(size, stage, device=device)
    n_image = bench.model.n_image_tokens
    everything = drawn(bench, bench.config.batch_size * n_repeats, seed=0)
    batches = [everything[number::n_repeats] for number in range(n_repeats)]
    facts, bins = data_facts(everything, n_image), histogram(everything, n_image)
    print(f"\n== stage {stage}, {size}, {bench.config.batch_size} conversations a step ==")
    print(drawn_histogram(bins))
    print(
        f"mean {n_image} image tokens, {facts['mean_text_tokens']:.1f} of text, "
        f"{facts['mean_supervised_tokens']:.1f} supervised"
    )
    trials = try_settings(
        bench, batches[0], deadline=begun + SEARCH_FRAC * seconds, with_compiled=with_compiled
    )
    left = seconds - (time.monotonic() - begun)
    peaks = {trial.setting: trial.peak_bytes for trial in trials}
    settings = those_in_time(chosen(trials, bench), trials, sum(row.n_tokens for row in everything), left)
    timings = take_turns(bench, settings, batches)
    table = {
        setting: medians(timings[setting], peak_flops=peak_flops, peak_bytes=peaks[setting], device=device)
        for setting in settings
    }
    fast, slow = (
        max((s for s in settings if (s.way == "ours") == ours), key=lambda s: table[s]["samples_per_s"])
        for ours in (True, False)
    )
    against = {"straightforward": slow, "published": published(bench)}
    ratios = {
        name: ratio(timings[fast], timings[other], device)
        for name, other in against.items()
        if other in timings
    }
    print_table(table, published=published(bench))
    for name, found in ratios.items():
        print(f"{RATIOS[name]}: {found['median']:.2f} ({found['least']:.2f} to {found['most']:.2f})")
    whole = replace(bench.shape, n_layers=SIZES[size].n_layers)
    operations = mean_operations(whole, stage, everything)
    result = {
        "batch_size": bench.config.batch_size,
        "n_repeats": n_repeats,
        "n_layers": bench.n_layers,
        "n_layers_of_size": whole.n_layers,
        "run": {"precision": bench.run.precision, "strategy": bench.run.strategy, "vision": bench.run.vision},
        "conversations": facts,
        "histogram_text_tokens": bins,
        "operations": operations,
        "trials": [asdict(trial) for trial in trials],
        "settings": [asdict(setting) | table[setting] for setting in settings],
        "ratios": ratios,
    }
    if bench.n_layers < whole.n_layers:
        projected = table[fast]["mfu"] * peak_flops / (1e12 * operations["tflop_per_sample"])
        result["samples_per_s_if_all_layers_had_this_mfu"] = projected
        print(
            f"{bench.n_layers} of {whole.n_layers} layers fit; if all had this utilisation: "
            f"{projected:.1f} samples/s (not run)"
        )
    if size == "7b":
        print(f"asked for on one H200: {GOALS[stage]} samples/s, and twice the straightforward way")
    return result


def drawn(bench: Bench, n_rows: int, *, seed: int) -> list[Row]:
    """Return conversations for a model."""
    return draw(
        bench.stage,
        n_rows,
        seed=seed,
        n_image_tokens=bench.model.n_image_tokens,
        image_token_id=bench.model.image_token_id,
        n_images=N_IMAGES,
    )


if __name__ == "__main__":
    main()
