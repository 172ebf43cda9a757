"""LLaVA by itself on the bundled data: both stages trained, scored by skill, over seeds.

    studies data mini --out mini
    python benchmarks/mini_llava.py train mini out/seed0 0      # once per seed; a finished stage is reused
    python benchmarks/mini_llava.py table out/seed0 out/seed1 out/seed2

``train`` writes ``scores.parquet``: one row per question of val and test, with what each variant got right.
``table`` prints Markdown tables.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from llava_core.checkpoint import load_checkpoint
from llava_core.data.load import load_dataset
from llava_core.inference.logprob import option_logprobs
from llava_core.inference.parse import parse_answer
from llava_core.inference.replies import generate_answers
from llava_core.recipes import train_llava

VARIANTS = ("likelihood", "generation", "blank image", "stage 1 alone", "chance")


def train(data: Path, out: Path, seed: int) -> None:
    """Train and score one seed."""
    dataset = load_dataset(data)
    n_threads = int(os.environ.get("OMP_NUM_THREADS", "0")) or None
    paths = train_llava(dataset.split("train_llm"), out, seed=seed, n_threads=n_threads)
    examples = [*dataset.split("val"), *dataset.split("test")]
    tuned, aligned = load_checkpoint(paths["finetune"]), load_checkpoint(paths["align"])
    frame = pd.DataFrame(
        {
            "example_id": [example.id for example in examples],
            "split": [example.split for example in examples],
            "slice": [example.slice for example in examples],
            "skill": [example.skill for example in examples],
            "kind": ["image" if example.has_image else "text" for example in examples],
            "chance": [1 / len(example.options) for example in examples],
        }
    )
    answers = [example.answer for example in examples]
    scored = {
        "likelihood": option_logprobs(tuned, examples),
        "blank image": option_logprobs(tuned, examples, blank_image=True),
        "stage 1 alone": option_logprobs(aligned, examples),
    }
    for name, scores in scored.items():
        right = [int(score.mean.argmax()) == answer for score, answer in zip(scores, answers, strict=True)]
        frame[name] = [float(value) for value in right]
    texts = generate_answers(tuned, examples)
    frame["generation"] = [
        float(parse_answer(text, example.options) == example.answer)
        for text, example in zip(texts, examples, strict=True)
    ]
    frame.to_parquet(out / "scores.parquet", index=False)


def table(outs: Sequence[Path]) -> None:
    """Print the tables."""
    frame = pd.concat(
        [pd.read_parquet(out / "scores.parquet").assign(run=place) for place, out in enumerate(outs)],
        ignore_index=True,
    )
    runs = range(len(outs))
    image = frame[(frame["kind"] == "image") & (frame["slice"] == "main")]
    for split in ("val", "test"):
        print(f"\nImage questions of slice main, {split}\n")
        print(f"| | mean | {' | '.join(f'seed {run}' for run in runs)} |")
        print("|---" * (len(outs) + 2) + "|")
        part = image[image["split"] == split]
        for variant in VARIANTS:
            each = 100 * part.groupby("run")[variant].mean()
            print(f"| {variant} | {each.mean():.1f} | {' | '.join(f'{value:.1f}' for value in each)} |")
    test = frame[frame["split"] == "test"]
    print("\nSlices of the test, mean over seeds\n")
    _print(test.groupby(["slice", "kind"]))
    print("\nSkills, test, slice main, mean over seeds\n")
    _print(test[test["slice"] == "main"].groupby(["kind", "skill"]))


def _print(groups: "pd.api.typing.DataFrameGroupBy") -> None:
    mean = 100 * groups[list(VARIANTS)].mean()
    count = groups["example_id"].nunique()
    print(f"| | n | {' | '.join(VARIANTS)} |")
    print("|---" * (len(VARIANTS) + 2) + "|")
    for name, values in mean.iterrows():
        print(f"| {', '.join(name)} | {count[name]} | {' | '.join(f'{v:.1f}' for v in values)} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["train"] and len(sys.argv) == 5:
        train(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:2] == ["table"] and len(sys.argv) > 2:
        table([Path(argument) for argument in sys.argv[2:]])
    else:
        sys.exit(__doc__)
