"""Commands that train: the tiny models, stage 1, stage 2 [edge]."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from llava_core.cli.terminal import Limit, Part, Seed, app, bar, claim, done, no_part, read_data, resumable
from llava_core.errors import InputError

if TYPE_CHECKING:
    from llava_core.data.conversation import Conversation
    from llava_core.data.example import Example
    from llava_core.data.llava_json import ConversationFile

StageData = Annotated[
    Path | None,
    typer.Option("--data", help="Questions: ScienceQA in any layout, or a .jsonl or .parquet file."),
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
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    seed: Seed = 0,
) -> None:
    """Make the shipped tiny CLIP and language model anew (about an hour on two cores)."""
    from llava_core.recipes import pretrain_mini as run

    claim(context, out)
    with bar("pre-train") as tick:
        run(out, seed=seed, progress=tick)
    done(out)


@app.command(
    epilog="Example: llava align --data mini --out ckpt/align (studies data mini --out mini draws it)\n\n"
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
    epilog="Example: llava finetune --data mini --base ckpt/align --out ckpt/finetune (mini: see align)\n\n"
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
    from llava_core.checkpoint.folder import MARKS
    from llava_core.folders import check_replaceable
    from llava_core.recipes import find_recipe, start
    from llava_core.settings import with_settings
    from llava_core.train.processes import launched
    from llava_core.train.run import run_stage

    chosen = find_recipe(recipe)
    plan = with_settings(chosen.plan(name), settings or ())
    check_replaceable(out, marks=MARKS, sources={"base": base, "clip": clip, "llm": llm})
    examples = _stage_data(data, chat, image_root, part=part, limit=limit)
    bundle = start(chosen, plan, base=base, clip=clip, llm=llm, seed=seed)
    quiet = launched()[0] > 0
    with resumable(hidden=quiet), bar(name, hidden=quiet) as tick:
        run_stage(
            plan.stage, bundle, examples, out=out, seed=seed, run=plan.run, progress=tick,
            tell=lambda line: typer.echo(line, err=True),
        )  # fmt: skip
    if not quiet:
        done(out)


def _stage_data(
    data: Path | None, chat: Path | None, image_root: Path | None, *, part: str, limit: int | None
) -> "Sequence[Example | Conversation] | ConversationFile":
    from llava_core.data.llava_json import load_conversations
    from llava_core.train.processes import launched

    if (data is None) == (chat is None):
        raise InputError("got both or none of --data and --chat, allowed is one", field="data")
    if chat is not None:
        with bar(f"read {chat.name}", hidden=launched()[0] > 0) as tick:
            found = load_conversations(chat, image_root or chat.parent, progress=tick)
        return (
            found.conversations
            if limit is None
            else [c for c, _ in zip(found.conversations, range(limit), strict=False)]
        )
    assert data is not None
    dataset = read_data(data, hidden=launched()[0] > 0)
    examples = dataset.split(part)[:limit]
    if not examples:
        raise no_part(part, dataset.splits, data)
    return examples
