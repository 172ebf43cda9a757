"""The `llava` command [edge]: pretrain the tiny models, train a stage, extract features, answer questions."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llava_core.errors import InputError, told_in_one_line

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Train LLaVA in two stages, take its embeddings out, and let it answer.",
)

Data = Annotated[Path, typer.Option(help="Folder in ScienceQA's layout, or a .jsonl or .parquet file.")]
Part = Annotated[str, typer.Option(help="Part of the data set.")]
Seed = Annotated[int, typer.Option(help="Seed.")]
Limit = Annotated[int | None, typer.Option(help="Use the first so many questions only.", min=1)]
Tick = Callable[[int, int], None]


@app.command("pretrain-mini", epilog="Example: llava pretrain-mini --out weights/mini --seed 0")
def pretrain_mini(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")], seed: Seed = 0
) -> None:
    """Make the shipped tiny CLIP and language model anew (about an hour on two cores)."""
    from llava_core.recipes import pretrain_mini as run

    with _bar("pre-train") as tick:
        run(out, seed=seed, progress=tick)
    _done(out)


@app.command(epilog="Example: llava align --data mini --out checkpoint/align")
def align(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    part: Part = "train_llm",
    recipe: Annotated[str, typer.Option(help="mini_cpu or llava_v1.")] = "mini_cpu",
    base: Annotated[Path | None, typer.Option(help="Checkpoint to start from; else the shipped one.")] = None,
    seed: Seed = 0,
    limit: Limit = None,
) -> None:
    """Stage 1: train the projector on captioned images."""
    _stage("align", data, out, part=part, recipe=recipe, base=base, seed=seed, limit=limit)


@app.command(epilog="Example: llava finetune --data mini --base checkpoint/align --out checkpoint/finetune")
def finetune(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    base: Annotated[Path, typer.Option(help="Checkpoint of stage 1.")],
    part: Part = "train_llm",
    recipe: Annotated[str, typer.Option(help="mini_cpu or llava_v1.")] = "mini_cpu",
    seed: Seed = 0,
    limit: Limit = None,
) -> None:
    """Stage 2: train projector and language model on questions."""
    _stage("finetune", data, out, part=part, recipe=recipe, base=base, seed=seed, limit=limit)


@app.command(epilog="Example: llava extract --checkpoint checkpoint/finetune --data mini --out store")
def extract(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint of stage 2.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the feature store.")],
    part: Annotated[str | None, typer.Option(help="Part of the data set; all if not given.")] = None,
    stage1: Annotated[Path | None, typer.Option(help="Checkpoint of stage 1, for its projector.")] = None,
    limit: Limit = None,
) -> None:
    """Write CLIP, projector and language-model features into a store."""
    from llava_core.data.load import load_dataset
    from llava_core.features.extract import extract_features

    dataset = load_dataset(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    checkpoints = {"finetune": checkpoint, **({"align": stage1} if stage1 else {})}
    with _bar("extract features") as tick:
        extract_features(checkpoints, examples, out, data_fingerprint=dataset.fingerprint, progress=tick)
    _done(out)


@app.command(epilog="Example: llava answer --checkpoint checkpoint/finetune --data mini --limit 5")
def answer(
    checkpoint: Annotated[Path, typer.Option(help="Checkpoint of stage 2.")],
    data: Data,
    part: Annotated[str | None, typer.Option(help="Part of the data set; all if not given.")] = None,
    limit: Limit = None,
) -> None:
    """Answer questions: one JSON line each, with the generated text and the likeliest option."""
    import json

    from llava_core.checkpoint import load_checkpoint
    from llava_core.data.load import load_dataset
    from llava_core.inference.generate import generate_answers
    from llava_core.inference.logprob import option_logprobs
    from llava_core.inference.parse import parse_answer

    dataset = load_dataset(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    bundle = load_checkpoint(checkpoint)
    with _bar("score options") as tick:
        scores = option_logprobs(bundle, examples, progress=tick)
    with _bar("generate") as tick:
        texts = generate_answers(bundle, examples, progress=tick)
    for example, score, text in zip(examples, scores, texts, strict=True):
        row = {
            "id": example.id,
            "text": text,
            "parsed": parse_answer(text, example.options),
            "chosen": int(score.mean.argmax()),
            "mean_logprob": [round(float(value), 4) for value in score.mean],
        }
        typer.echo(json.dumps(row))


def main() -> None:
    """Run the command; bad input is one line on standard error and exit code 2."""
    try:
        app()
    except (InputError, OSError) as error:
        problem = told_in_one_line(error)
        if problem is None:
            raise
        Console(stderr=True, soft_wrap=True).print(f"error: {problem}", markup=False, highlight=False)
        sys.exit(2)


def _stage(
    name: str,
    data: Path,
    out: Path,
    *,
    part: str,
    recipe: str,
    base: Path | None,
    seed: int,
    limit: int | None,
) -> None:
    from llava_core.checkpoint import load_checkpoint
    from llava_core.data.load import load_dataset
    from llava_core.recipes import find_recipe, load_mini
    from llava_core.train.run import run_stage

    config = getattr(find_recipe(recipe), name)
    dataset = load_dataset(data)
    examples = dataset.split(part)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    bundle = load_mini() if base is None else load_checkpoint(base)
    with _bar(name) as tick:
        run_stage(config, bundle, examples, out=out, seed=seed, progress=tick)
    _done(out)


def _no_part(part: str | None, splits: Iterable[str], data: Path) -> InputError:
    names = ", ".join(splits)
    allowed = f"allowed are {names}" if names else "the data has no parts"
    return InputError(f"got {part!r}, {allowed}", path=data, field="part")


@contextmanager
def _bar(title: str) -> Iterator[Tick]:
    """Show progress with the time left on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _done(out: Path) -> None:
    typer.echo(f"written: {out}")


if __name__ == "__main__":
    main()
