"""CPU-seconds per step of both stages, with and without the cache of vision features.

    python benchmarks/train_step.py [n_steps] [n_threads]

Drawn images of random colours stand in for the data: a step costs the same whatever the images show. One
JSON object is printed; ``cache_ratio`` is the time of a step that runs the vision tower over that of a step
that reads the cache.
"""

import json
import platform
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from llava_core.checkpoint import LlavaBundle
from llava_core.data.collate import pad_batch
from llava_core.data.conversation import TEMPLATES, encode
from llava_core.data.example import Example
from llava_core.data.images import load_pixels
from llava_core.recipes import load_mini, mini_cpu
from llava_core.train.loop import optimise, threads
from llava_core.train.run import cache_features
from llava_core.train.stage import StageConfig, conversation


def main(n_steps: int = 30, n_threads: int = 1) -> None:
    """Measure and print."""
    recipe = mini_cpu()
    with tempfile.TemporaryDirectory() as folder, threads(n_threads):
        examples = _examples(Path(folder), 256)
        result: dict[str, object] = {
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "n_threads": n_threads,
            "n_steps": n_steps,
        }
        for stage in (recipe.align, recipe.finetune):
            cached, tokens = _cpu_per_step(stage, examples, n_steps, use_cache=True)
            live, _ = _cpu_per_step(stage, examples, n_steps, use_cache=False)
            result[stage.name] = {
                "cpu_s_per_step": round(cached, 4),
                "cpu_s_per_step_without_cache": round(live, 4),
                "cache_ratio": round(live / cached, 2),
                "conversations_per_step": stage.batch_size,
                "tokens_per_step": round(tokens),
            }
    print(json.dumps(result, indent=1))


def _cpu_per_step(
    stage: StageConfig, examples: Sequence[Example], n_steps: int, *, use_cache: bool
) -> tuple[float, float]:
    bundle, rng = load_mini(), np.random.default_rng(0)
    model = bundle.model
    model.projector.requires_grad_(True)
    model.llm.requires_grad_("llm" in stage.trains)
    model.train()
    cache = cache_features(bundle, examples) if use_cache else {}
    n_tokens = []

    def loss_of(batch: Sequence[Example]) -> Tensor:
        rows = [
            encode(
                conversation(stage, example, rng),
                bundle.tokenizer,
                TEMPLATES[stage.template],
                bundle.n_image_tokens,
            )
            for example in batch
        ]
        input_ids, mask, labels = pad_batch(rows, bundle.pad_token_id)
        n_tokens.append(input_ids.numel())
        return model(input_ids, mask, labels, _features(bundle, cache, batch)).loss

    batches = [
        list(rng.choice(np.array(examples, dtype=object), stage.batch_size)) for _ in range(n_steps + 3)
    ]
    parameters = [p for p in model.parameters() if p.requires_grad]

    def run(part: Sequence[Sequence[Example]]) -> None:
        optimise(parameters, part, loss_of, n_steps=len(part), config=stage.optim)

    run(batches[:3])
    started = time.process_time()
    run(batches[3:])
    return (time.process_time() - started) / n_steps, float(np.mean(n_tokens))


def _features(bundle: LlavaBundle, cache: Mapping[str, Tensor], batch: Sequence[Example]) -> Tensor:
    if cache:
        return torch.stack([cache[example.id] for example in batch])
    pixels = load_pixels([example.image for example in batch if example.image], bundle.image_processor)
    return bundle.model.vision_features(pixels)


def _examples(folder: Path, n_examples: int) -> list[Example]:
    rng = np.random.default_rng(0)
    examples = []
    for index in range(n_examples):
        path = folder / f"{index}.png"
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
        examples.append(
            Example(
                id=str(index),
                question="Which of the two solutions has the higher concentration of particles?",
                options=("Solution A", "Solution B", "neither; they have the same concentration"),
                answer=index % 3,
                split="train_llm",
                group=str(index),
                image=path,
                has_image=True,
                caption="Solution A has 4 green particles. Solution B has 7 green particles.",
            )
        )
    return examples


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3]))
