"""How fast features are extracted: images and questions per second, against what the machine can do.

    python benchmarks/extract_gpu.py --device cuda --out extract_gpu.json
    python benchmarks/extract_gpu.py --device cpu --out extract_cpu.json

On a GPU: CLIP ViT-L/14 and a language model of 7B, random weights, bfloat16. Images come from memory (pixels
decoded already, on the device and in main memory) and from JPEG files; option log-likelihoods have prompts of
ScienceQA's length. Shares are of the dense matrix product measured in the same run: an image costs 155.3
GFLOP (ViT-L/14 at 224 px, 23 layers).

On a CPU: our way to CLIP's pooled output, to the mean of LLaVA's patch features, and to both, which is what
a store holds, against the stock ``image-feature-extraction`` pipeline of transformers at its best batch size,
on the same files and cores, in turns. For the patch features the stock pipeline has a model without the last
layer, so that both sides run the same layers; as it gives one output, both take two pipelines. Outputs are
compared first; the run ends if they differ.

One JSON object is printed, and written where ``--out`` says. ``--size tiny`` is a dry run of every part.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models
from torch import Tensor
from transformers import (
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    CLIPVisionModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    pipeline,
)

from llava_core.checkpoint import LlavaBundle
from llava_core.data.pixels import PixelReader, n_cores, pixel_batches
from llava_core.data.template import V1
from llava_core.inference.asking import Asked, question_batches, run_batches
from llava_core.inference.logprob import score_batch
from llava_core.model.llava import LlavaModel
from llava_core.model.projector import build_projector

IMAGE_TOKEN_ID, JPEG_SIZE = 3, (500, 375)
CLIP = {
    "ViT-L/14": {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24,
                 "num_attention_heads": 16, "patch_size": 14},
    "ViT-B/32": {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
                 "num_attention_heads": 12, "patch_size": 32},
    "ViT-S/32": {"hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12,
                 "num_attention_heads": 6, "patch_size": 32},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
             "num_attention_heads": 2, "patch_size": 56},
}  # fmt: skip
LLM = {
    "7B": {"hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
           "num_attention_heads": 32, "vocab_size": 32000},
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
             "num_attention_heads": 2, "vocab_size": 320},
}  # fmt: skip
PROMPT_TOKENS, OPTION_TOKENS, N_OPTIONS = 335, 6, 3
"""Of a ScienceQA question: text around the image, of an option, options."""
ROUNDS = 5


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=("images", "questions"), help="one part of the GPU figures")
    parser.add_argument("--budget-s", type=float, default=300.0, help="no new part is begun after this time")
    arguments = parser.parse_args()
    device, tiny = torch.device(arguments.device), arguments.size == "tiny"
    ends, load = time.perf_counter() + arguments.budget_s, round(os.getloadavg()[0], 1)
    result: dict[str, Any] = {
        "command": " ".join(sys.argv),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "cores": n_cores(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "torch_threads": torch.get_num_threads(),
    }
    with tempfile.TemporaryDirectory() as folder:
        if device.type == "cuda" or tiny:
            dense = dense_tflops(device, 256 if tiny else 8192)
            result["dense_tflops"] = round(dense, 1)
            if arguments.only != "questions":
                paths = write_jpegs(Path(folder), 64 if tiny else 4096)
                sizes = [path.stat().st_size for path in paths]
                result["jpeg_kilobytes"] = round(sum(sizes) / len(sizes) / 1000, 1)
                result["images"] = measure_images(paths, device, "tiny" if tiny else "ViT-L/14", dense)
            if arguments.only != "images" and time.perf_counter() < ends:
                result["questions"] = measure_questions(device, "tiny" if tiny else "7B", dense)
        if device.type == "cpu":
            paths = write_jpegs(Path(folder), 64)
            result["against_stock"] = []
            for name in ("tiny",) if tiny else ("ViT-S/32", "ViT-B/32"):
                for what in ("both", "pooled", "patches"):
                    if time.perf_counter() < ends:
                        result["against_stock"].append(against_stock(paths, name, what))
    result["load_average_before_and_after"] = [load, round(os.getloadavg()[0], 1)]
    text = json.dumps(result, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n", encoding="utf-8")


def write_jpegs(folder: Path, n_images: int) -> list[Path]:
    """Write seeded JPEG files of a photograph's size and, by blurred noise on several scales, its detail."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(n_images):
        layers = [
            Image.fromarray(rng.integers(0, 256, (side * 3 // 4, side, 3), dtype=np.uint8)).resize(
                JPEG_SIZE, Image.Resampling.BICUBIC
            )
            for side in (8, 40, 200)
        ]
        image = Image.blend(Image.blend(layers[0], layers[1], 0.4), layers[2], 0.2)
        paths.append(folder / f"{number}.jpg")
        image.save(paths[-1], quality=90)
    return paths


def dense_tflops(device: torch.device, side: int) -> float:
    """Return the speed of a large matrix product in the models' precision."""
    a, b = (torch.randn(side, side, device=device, dtype=_precision(device)) for _ in range(2))
    seconds = _timed(lambda: a @ b, device, repeats=20)
    return 2 * side**3 / seconds / 1e12


def measure_images(paths: Sequence[Path], device: torch.device, name: str, dense: float) -> dict[str, Any]:
    """Return images per second of LLaVA's patch features, from memory and from files."""
    model = _llava(name, "tiny", device)
    reader = PixelReader(CLIPImageProcessorPil())
    gflop = tower_gflop(model.vision_tower.config)
    by_batch: dict[int, float] = {}
    for size in (64, 128, 256) if device.type == "cuda" else (16,):
        batch = torch.randn(size, 3, 224, 224, device=device, dtype=_precision(device))
        by_batch[size] = size / _timed(lambda batch=batch: model.vision_features(batch), device, repeats=10)  # type: ignore[misc]
    size = max(by_batch, key=lambda key: by_batch[key])
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    read = [torch.from_numpy(np.stack([reader.read(path) for path in batch])) for batch in batches[:4]]
    read = [images.pin_memory() if device.type == "cuda" else images for images in read]

    def main_memory() -> None:
        for images in read:
            model.vision_features(reader.values(images, device))

    def files(n_threads: int, run: bool) -> Callable[[], None]:
        def do() -> None:
            for pixels in pixel_batches(batches, reader, device=device, n_threads=n_threads):
                if run:
                    model.vision_features(pixels)

        return do

    with torch.inference_mode():
        from_memory = sum(map(len, read)) / _timed(main_memory, device, repeats=5)
        from_files = len(paths) / _timed(files(n_cores(), True), device, repeats=3)
        decode = {n: len(paths) / _timed(files(n, False), device, repeats=1) for n in sorted({1, n_cores()})}
    limit = dense * 1000 / gflop
    return {
        "gflop_per_image": round(gflop, 1),
        "limit_per_s": round(limit),
        "batch": size,
        "per_s_on_device_by_batch": {key: round(value, 1) for key, value in by_batch.items()},
        "per_s_from_main_memory": round(from_memory, 1),
        "per_s_from_jpeg": round(from_files, 1),
        "per_s_decoded_by_threads": {key: round(value, 1) for key, value in decode.items()},
        "frac_of_limit_on_device": round(by_batch[size] / limit, 3),
        "frac_of_limit_from_main_memory": round(from_memory / limit, 3),
        "frac_of_limit_from_jpeg": round(from_files / limit, 3),
    }


def measure_questions(device: torch.device, name: str, dense: float) -> dict[str, Any]:
    """Return questions per second of option log-likelihoods, and the gain of one prompt per question."""
    bundle = _bundle("tiny" if name == "tiny" else "ViT-L/14", name, device)
    rng = np.random.default_rng(0)
    vocabulary, n_image = LLM[name]["vocab_size"], bundle.n_image_tokens
    asked = []
    for _ in range(8 if name == "tiny" else 96):
        text = rng.integers(10, vocabulary, int(rng.integers(PROMPT_TOKENS // 2, PROMPT_TOKENS * 3 // 2)))
        options = rng.integers(10, vocabulary, (N_OPTIONS, OPTION_TOKENS)).tolist()
        asked.append(
            Asked(
                prompt_ids=(1, *[IMAGE_TOKEN_ID] * n_image, *text.tolist()),
                option_ids=tuple(map(tuple, options)),
            )
        )
    width = bundle.model.vision_tower.config.hidden_size
    features = torch.randn(1, n_image, width, device=device, dtype=_precision(device))
    nowhere = Path("image")

    def vision(images: Sequence[Path]) -> Tensor:
        return features.expand(len(images), -1, -1)

    def score(questions: Sequence[Asked]) -> int:
        batches = question_batches(bundle, questions)

        def run(rows: Sequence[int]) -> None:
            score_batch(
                bundle, [questions[k] for k in rows], [nowhere] * len(rows), vision=vision, layers=(-3, -1)
            )

        return run_batches(batches, run, progress=lambda n_done: None)

    n_halved = score(asked[:4])
    seconds = _timed(lambda: score(asked), device, repeats=3)
    apart = [
        Asked(prompt_ids=question.prompt_ids, option_ids=(option,))
        for question in asked
        for option in question.option_ids
    ]
    seconds_apart = _timed(lambda: score(apart), device, repeats=1)
    tokens = sum(len(question.prompt_ids) + N_OPTIONS * OPTION_TOKENS for question in asked) / len(asked)
    n_weights = sum(p.numel() for p in bundle.model.llm.model.layers.parameters())
    layers, dim = LLM[name]["num_hidden_layers"], LLM[name]["hidden_size"]
    tflop = (2 * n_weights * tokens + 2 * layers * tokens**2 * dim) / 1e12
    per_s = len(asked) / seconds
    return {
        "tokens_per_question": round(tokens),
        "options": N_OPTIONS,
        "questions_per_batch": round(len(asked) / len(question_batches(bundle, asked)), 1),
        "batches_halved": n_halved,
        "per_s": round(per_s, 2),
        "frac_of_dense": round(per_s * tflop / dense, 3),
        "per_s_with_a_prompt_per_option": round(len(asked) / seconds_apart, 2),
    }


def against_stock(paths: Sequence[Path], name: str, what: str) -> dict[str, Any]:
    """Return wall time and CPU time of our way and of the stock pipeline's, in turns, outputs compared."""
    cpu, processor = torch.device("cpu"), CLIPImageProcessorPil()
    model = _llava(name, "tiny", cpu)
    tower, reader = model.vision_tower, PixelReader(processor)
    short = CLIPVisionModel(
        CLIPVisionConfig(
            **{**tower.config.to_dict(), "num_hidden_layers": tower.config.num_hidden_layers - 1}
        )
    ).eval()
    short.load_state_dict(tower.state_dict(), strict=False)
    whole_pipe, short_pipe = (
        pipeline("image-feature-extraction", model=part, image_processor=processor, device="cpu")
        for part in (tower, short)
    )
    names = [str(path) for path in paths]

    def stock(batch: int) -> Tensor:
        found = []
        if what != "patches":
            rows = whole_pipe(names, batch_size=batch, pool=True, return_tensors=True)
            found.append(torch.cat([row.reshape(-1, row.shape[-1]) for row in rows]))
        if what != "pooled":
            rows = short_pipe(names, batch_size=batch, return_tensors=True)
            found.append(torch.stack([row.reshape(-1, row.shape[-1])[1:].mean(0) for row in rows]))
        return torch.cat(found, 1)

    def ours(batch: int) -> Tensor:
        batches = [paths[start : start + batch] for start in range(0, len(paths), batch)]
        found = []
        with torch.inference_mode():
            for pixels in pixel_batches(batches, reader, device=cpu):
                if what == "patches":
                    found.append(model.vision_features(pixels).mean(1))
                else:
                    outputs = model.vision_outputs(pixels, pooled=True)
                    parts = [outputs.pooled, *([] if what == "pooled" else [outputs.features.mean(1)])]
                    found.append(torch.cat(parts, 1))
        return torch.cat(found)

    difference = float((stock(8) - ours(8)).abs().max())
    if difference > 1e-4:
        raise SystemExit(f"outputs of {name}, {what}, differ by {difference}")
    sizes = (1, 2, 4, 8, 16, 32, 64)
    tried = {
        side: {size: _wall(partial(run, size)) for size in sizes}
        for side, run in (("stock", stock), ("ours", ours))
    }
    best = {side: min(seconds, key=lambda size: seconds[size]) for side, seconds in tried.items()}
    wall: dict[str, list[float]] = {"stock": [], "ours": []}
    used: dict[str, list[float]] = {"stock": [], "ours": []}
    for _ in range(ROUNDS):
        for side, run in (("stock", stock), ("ours", ours)):
            before = _cpu_seconds()
            wall[side].append(_wall(partial(run, best[side])))
            used[side].append(_cpu_seconds() - before)
    ms = {side: 1000 * median(seconds) / len(paths) for side, seconds in wall.items()}
    cpu_ms = {side: 1000 * median(seconds) / len(paths) for side, seconds in used.items()}
    return {
        "model": name,
        "output": what,
        "largest_difference": difference,
        "best_batch": best,
        "ms_per_image": {side: round(value, 2) for side, value in ms.items()},
        "cpu_ms_per_image": {side: round(value, 2) for side, value in cpu_ms.items()},
        "times_as_fast": round(ms["stock"] / ms["ours"], 2),
        "by_round": [round(a / b, 2) for a, b in zip(wall["stock"], wall["ours"], strict=True)],
        "cpu_ratio": round(cpu_ms["stock"] / cpu_ms["ours"], 2),
    }


def tower_gflop(config: CLIPVisionConfig) -> float:
    """Return the cost of the layers that LLaVA reads, for one image."""
    patches = (config.image_size // config.patch_size) ** 2
    tokens, dim, layers = patches + 1, config.hidden_size, config.num_hidden_layers - 1
    linear = 2 * tokens * (4 * dim * dim + 2 * dim * config.intermediate_size)
    return (
        float(layers * (linear + 4 * tokens * tokens * dim) + 2 * patches * 3 * config.patch_size**2 * dim)
        / 1e9
    )


def _llava(clip: str, llm: str, device: torch.device) -> LlavaModel:
    torch.manual_seed(0)
    tower = CLIPVisionModel(CLIPVisionConfig(image_size=224, **CLIP[clip]))
    before = torch.get_default_dtype()
    torch.set_default_dtype(_precision(device))
    try:
        with device:
            language = LlamaForCausalLM(LlamaConfig(max_position_embeddings=2048, **LLM[llm]))
    finally:
        torch.set_default_dtype(before)
    projector = build_projector("mlp2x_gelu", CLIP[clip]["hidden_size"], LLM[llm]["hidden_size"])
    model = LlavaModel(tower, projector, language, image_token_id=IMAGE_TOKEN_ID)
    for module in (tower, projector):
        module.to(device, _precision(device))
    return model.eval().requires_grad_(False)


def _bundle(clip: str, llm: str, device: torch.device) -> LlavaBundle:
    words = {word: index for index, word in enumerate(("<unk>", "<s>", "</s>", "<image>"))}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")), eos_token="</s>"
    )
    return LlavaBundle(
        model=_llava(clip, llm, device),
        tokenizer=tokenizer,
        image_processor=CLIPImageProcessorPil(),
        template=V1,
    )


def _precision(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def _timed(run: Callable[[], object], device: torch.device, *, repeats: int) -> float:
    """Return the median seconds of a run, after one that does not count."""
    run()
    seconds = []
    for _ in range(repeats):
        _wait(device)
        begun = time.perf_counter()
        run()
        _wait(device)
        seconds.append(time.perf_counter() - begun)
    return median(seconds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _wall(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def _cpu_seconds() -> float:
    """Return user and system time of this process, all threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
