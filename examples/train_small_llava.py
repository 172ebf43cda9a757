"""Train the small LLaVA in both stages, ask it, talk to it, and take its embeddings out.

The shipped CLIP and language model are tiny and know the bundled drawings only. Stage 1 teaches the
projector between them captions, stage 2 teaches projector and language model to describe and to answer.
Here they learn four of the fourteen kinds of picture questions, from some hundred drawings, for a few steps:
enough to see each stage do its part. ``make study`` trains on all of them, ten times as long.

    python examples/train_small_llava.py
    python examples/train_small_llava.py --times 3 --out small_llava      # thrice as long, and keep it

It prints the loss of both stages, how many new questions each stage answers rightly (with intervals, beside
chance), an answer, a turn of a chat, and what stands in the feature store. 30 seconds of CPU.
"""

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

from llava_core import Llava
from llava_core.checkpoint import load_checkpoint
from llava_core.data.conversation import question_prompt
from llava_core.data.example import Dataset, Example
from llava_core.data.load import load_dataset
from llava_core.data.mini import write_mini
from llava_core.features.extract import extract_features
from llava_core.features.store import FeatureStore
from llava_core.inference.decoding import Decoding
from llava_core.inference.logprob import option_logprobs
from llava_core.recipes import Recipe, mini_cpu, train_llava
from studies.progress import Progress, Tick, shown
from studies.stats import accuracy_estimate

SKILLS = (
    "Identify phases of the moon",
    "Compare weights on a balance",
    "Compare magnitudes of magnetic forces",
    "Predict which bulb lights up",
)
LEARN, JUDGE = "train_ensemble", "val"
"""Parts of the bundled data: the smallest that one can learn from, and one that shares no scene with it."""
SHORT = Decoding(max_new_tokens=30)


def main() -> None:
    """Draw, train, judge, ask, chat, extract."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=float, default=1.0, help="train so many times as long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder; without it all is removed in the end")
    arguments = parser.parse_args()

    with ExitStack() as stack:
        out = arguments.out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        progress = stack.enter_context(shown(Console(stderr=True)))
        write_mini(out / "mini", parts=(LEARN, JUDGE), progress=progress.stage("draw questions and images"))
        data = load_dataset(out / "mini")
        learn, judge = picked(data, LEARN), picked(data, JUDGE)
        checkpoints = train(
            learn, out / "checkpoint", times=arguments.times, seed=arguments.seed, progress=progress
        )
        print(f"learned from {len(learn)} questions")
        tell_losses(checkpoints)
        tell_accuracy(checkpoints, judge, progress)
        llava = Llava.load(checkpoints["finetune"], device="cpu")
        ask(llava, judge[0])
        chat(llava, judge[1])
        store = extract_features(
            checkpoints,
            judge[:40],
            out / "features",
            data_fingerprint=data.fingerprint,
            progress=progress.stage("extract features"),
        )
        assert store is not None  # no other process has a share in it
        tell_blocks(FeatureStore.open(store))


def picked(data: Dataset, part: str) -> list[Example]:
    """Return the questions of a part that are of the chosen kinds."""
    return [example for example in data.split(part) if example.skill in SKILLS]


def few_steps(times: float) -> Recipe:
    """Return the recipe of the tiny model with passes for a few hundred questions."""
    recipe = mini_cpu()
    return replace(
        recipe,
        align=replace(recipe.align, n_epochs=2 * times),
        finetune=replace(recipe.finetune, describe_epochs=2 * times, n_epochs=4 * times),
    )


def train(
    examples: Sequence[Example], out: Path, *, times: float, seed: int, progress: Progress
) -> Mapping[str, Path]:
    """Train both stages and return their checkpoints."""
    bars: dict[str, Tick] = {}

    def tick(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = progress.stage(f"train: {stage}")
        bars[stage](done, total)

    return train_llava(examples, out, seed=seed, recipe=few_steps(times), progress=tick)


def tell_losses(checkpoints: Mapping[str, Path]) -> None:
    """Print how the loss of each stage fell; a checkpoint keeps its curve."""
    for stage, checkpoint in checkpoints.items():
        trained = json.loads((checkpoint / "training.json").read_text())
        losses = [loss for _, loss in trained["loss"]]
        begin, end = np.mean(losses[:5]), np.mean(losses[-5:])
        print(f"{stage:<10}{trained['n_steps']:>4} steps, loss {begin:.2f} at first, {end:.2f} at last")


def tell_accuracy(checkpoints: Mapping[str, Path], examples: Sequence[Example], progress: Progress) -> None:
    """Print the share of new questions whose likeliest option is right, after each stage."""
    families = [example.group for example in examples]
    chance = np.mean([1 / len(example.options) for example in examples])
    print(f"\nright of {len(examples)} new questions, chance {chance:.3f}")
    for stage, checkpoint in checkpoints.items():
        tick = progress.stage(f"answer: {stage}")
        scores = option_logprobs(load_checkpoint(checkpoint), examples, progress=tick)
        right = [
            float(score.mean.argmax() == example.answer)
            for score, example in zip(scores, examples, strict=True)
        ]
        found = accuracy_estimate(right, families)
        print(f"after {stage:<10}{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]")


def ask(llava: Llava, example: Example) -> None:
    """Print a description of a picture that the model has not seen, beside the true caption."""
    print(f"\ncaption:     {example.caption}")
    print(f"description: {llava.answer('Describe the picture.', example.image, decoding=SHORT)}")


def chat(llava: Llava, example: Example) -> None:
    """Print a turn of a chat as its pieces arrive."""
    question = question_prompt(example)  # the words of its training: the question, then the options
    print(f"\nyou:   {question}")
    print("llava: ", end="")
    for piece in llava.chat(decoding=SHORT).ask(question, example.image):
        print(piece, end="", flush=True)
    print(f"    (right is {example.options[example.answer]})")


def tell_blocks(store: FeatureStore) -> None:
    """Print what was extracted: blocks per question or per option, from CLIP to the last layer."""
    print(f"\nfeatures of {len(store.rows)} questions")
    for name, block in store.blocks.items():
        print(f"{name:<24}per {block.level:<9}{' x '.join(map(str, block.shape))}")


if __name__ == "__main__":
    main()
