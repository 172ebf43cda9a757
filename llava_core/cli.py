"""The `llava` command [edge]: pretrain the tiny models, train a stage, extract features, answer questions."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llava_core.errors import InputError, told_in_one_line

if TYPE_CHECKING:
    from llava_core.data.conversation import Conversation
    from llava_core.data.example import Example
    from llava_core.data.llava_json import ConversationFile

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
StageData = Annotated[
    Path | None,
    typer.Option("--data", help="Questions: folder in ScienceQA's layout, or a .jsonl or .parquet file."),
]
Chat = Annotated[Path | None, typer.Option(help="Conversations: a file of LLaVA records.")]
ImageRoot = Annotated[
    Path | None, typer.Option(help="Folder that the records' images are relative to; else the file's own.")
]
RecipeName = Annotated[
    str, typer.Option(help="mini_cpu, llava_v1_7b, scienceqa_7b, llava_v1_5_7b, llava_v1_5_lora_7b; or _13b.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="field=value, e.g. stage.batch_size=64 or run.precision=bf16; repeatable."),
]


@app.command("pretrain-mini", epilog="Example: llava pretrain-mini --out weights/mini --seed 0")
def pretrain_mini(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")], seed: Seed = 0
) -> None:
    """Make the shipped tiny CLIP and language model anew (about an hour on two cores)."""
    from llava_core.recipes import pretrain_mini as run

    with _bar("pre-train") as tick:
        run(out, seed=seed, progress=tick)
    _done(out)


@app.command(
    epilog="Example: llava align --data mini --out ckpt/align\n\n"
    "On 8 GPUs: torchrun --nproc-per-node 8 --no-python llava align --recipe llava_v1_7b "
    "--chat captions.json --image-root images --out ckpt/align"
)
def align(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    data: StageData = None,
    chat: Chat = None,
    image_root: ImageRoot = None,
    part: Part = "train_llm",
    recipe: RecipeName = "mini_cpu",
    base: Annotated[
        str | None,
        typer.Option(help="Checkpoint to start from, folder or hub name; else what the recipe names."),
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="CLIP in place of the recipe's, folder or hub name.")
    ] = None,
    llm: Annotated[
        str | None, typer.Option(help="Language model in place of the recipe's, folder or hub name.")
    ] = None,
    settings: Settings = None,
    seed: Seed = 0,
    limit: Limit = None,
) -> None:
    """Stage 1: train the projector on captioned images."""
    _stage(
        "align", data, chat, image_root, out, part=part, recipe=recipe, base=base, clip=clip, llm=llm,
        settings=settings, seed=seed, limit=limit,
    )  # fmt: skip


@app.command(
    epilog="Example: llava finetune --data mini --base ckpt/align --out ckpt/finetune\n\n"
    "On 8 GPUs: torchrun --nproc-per-node 8 --no-python llava finetune --recipe llava_v1_7b "
    "--chat chat.json --image-root coco/train2017 --base ckpt/align --out ckpt/finetune"
)
def finetune(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    base: Annotated[str, typer.Option(help="Checkpoint of stage 1, folder or hub name.")],
    data: StageData = None,
    chat: Chat = None,
    image_root: ImageRoot = None,
    part: Part = "train_llm",
    recipe: RecipeName = "mini_cpu",
    settings: Settings = None,
    seed: Seed = 0,
    limit: Limit = None,
) -> None:
    """Stage 2: train projector and language model on questions or conversations."""
    _stage(
        "finetune", data, chat, image_root, out, part=part, recipe=recipe, base=base, clip=None, llm=None,
        settings=settings, seed=seed, limit=limit,
    )  # fmt: skip


@app.command(
    epilog="Example: llava convert --source liuhaotian/llava-v1.5-7b --out models/llava-v1.5-7b\n\n"
    "A stage 1 alone: llava convert --clip openai/clip-vit-large-patch14 --llm lmsys/vicuna-7b-v1.5 "
    "--projector mm_projector.bin --out models/aligned"
)
def convert(
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    source: Annotated[
        str | None, typer.Option(help="LLaVA in any layout, folder or hub name; else --clip and --llm.")
    ] = None,
    clip: Annotated[
        str | None, typer.Option(help="CLIP for text tower and missing weights, folder or hub name.")
    ] = None,
    llm: Annotated[str | None, typer.Option(help="Language model to join with --clip.")] = None,
    projector: Annotated[
        str, typer.Option(help="Of a joined model: linear, mlp2x_gelu, identity, or a file mm_projector.bin.")
    ] = "linear",
    template: Annotated[
        str, typer.Option(help="How a model of others is asked: v0, v1, llava_v1, llama_2.")
    ] = "v1",
    dtype: Annotated[str, typer.Option(help="Precision on disk: bfloat16, float16 or float32.")] = "bfloat16",
) -> None:
    """Write any LLaVA, or a CLIP and a language model, as a checkpoint that stock transformers loads too."""
    from llava_core.checkpoint.convert import convert_model

    convert_model(source, out, clip=clip, llm=llm, projector=projector, template=template, dtype=dtype)
    _done(out)


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
    name: Literal["align", "finetune"],
    data: Path | None,
    chat: Path | None,
    image_root: Path | None,
    out: Path,
    *,
    part: str,
    recipe: str,
    base: str | None,
    clip: str | None,
    llm: str | None,
    settings: list[str] | None,
    seed: int,
    limit: int | None,
) -> None:
    from llava_core.recipes import find_recipe, start
    from llava_core.settings import with_settings
    from llava_core.train.processes import launched
    from llava_core.train.run import run_stage

    chosen = find_recipe(recipe)
    plan = with_settings(chosen.plan(name), settings or ())
    examples = _stage_data(data, chat, image_root, part=part, limit=limit)
    bundle = start(chosen, plan, base=base, clip=clip, llm=llm, seed=seed)
    quiet = launched()[0] > 0
    with _bar(name, hidden=quiet) as tick:
        run_stage(
            plan.stage, bundle, examples, out=out, seed=seed, run=plan.run, progress=tick,
            tell=lambda line: typer.echo(line, err=True),
        )  # fmt: skip
    if not quiet:
        _done(out)


def _stage_data(
    data: Path | None, chat: Path | None, image_root: Path | None, *, part: str, limit: int | None
) -> "Sequence[Example | Conversation] | ConversationFile":
    from llava_core.data.llava_json import load_conversations
    from llava_core.data.load import load_dataset
    from llava_core.train.processes import launched

    if (data is None) == (chat is None):
        raise InputError("got both or none of --data and --chat, allowed is one", field="data")
    if chat is not None:
        with _bar(f"read {chat.name}", hidden=launched()[0] > 0) as tick:
            found = load_conversations(chat, image_root or chat.parent, progress=tick)
        return (
            found.conversations
            if limit is None
            else [c for c, _ in zip(found.conversations, range(limit), strict=False)]
        )
    assert data is not None
    dataset = load_dataset(data)
    examples = dataset.split(part)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    return examples


def _no_part(part: str | None, splits: Iterable[str], data: Path) -> InputError:
    names = ", ".join(splits)
    allowed = f"allowed are {names}" if names else "the data has no parts"
    return InputError(f"got {part!r}, {allowed}", path=data, field="part")


@contextmanager
def _bar(title: str, *, hidden: bool = False) -> Iterator[Tick]:
    """Show progress with the time left on standard error."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=hidden) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _done(out: Path) -> None:
    typer.echo(f"written: {out}")


if __name__ == "__main__":
    main()
