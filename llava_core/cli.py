"""The `llava` command [edge]: pretrain the tiny models, train a stage, extract features, answer questions."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llava_core.errors import InputError, told_in_one_line

if TYPE_CHECKING:
    from llava_core.data.conversation import Conversation
    from llava_core.data.example import Example
    from llava_core.data.llava_json import ConversationFile
    from llava_core.inference.assistant import Llava
    from llava_core.inference.decoding import Decoding

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
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ...; the GPU if there is one.")]
Dtype = Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; bfloat16 on a GPU.")]
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


@app.command(
    epilog="Example: llava extract --checkpoint checkpoint/finetune --data mini --out store\n\n"
    "On 4 GPUs: torchrun --nproc-per-node 4 --no-python llava extract --checkpoint "
    "llava-hf/llava-1.5-7b-hf --data SCIENCEQA --out store\n\n"
    "By hand, on as many machines: llava extract --shard 0/4 ... to --shard 3/4 ..."
)
def extract(
    checkpoint: Annotated[str, typer.Option(help="LLaVA in any layout, folder or hub name.")],
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder of the feature store.")],
    part: Annotated[str | None, typer.Option(help="Part of the data set; all if not given.")] = None,
    stage1: Annotated[str | None, typer.Option(help="Checkpoint of stage 1, for its projector.")] = None,
    clip: Annotated[
        str | None,
        typer.Option(help="CLIP for the text tower that the checkpoint lacks, folder or hub name."),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Hidden states to keep: 0 the embeddings, -1 the last layer's.", show_default="-3,-1"
        ),
    ] = None,
    shard: Annotated[
        str | None, typer.Option(help="Which share this process does: 0/4 to 3/4; else torchrun's.")
    ] = None,
    device: Device = None,
    dtype: Dtype = None,
    limit: Limit = None,
) -> None:
    """Write CLIP, projector and language-model features into a store.

    A process that was killed goes on where it was. Of several, the last one to end joins what they made.
    """
    from llava_core.data.load import load_dataset
    from llava_core.features.extract import LAYERS, extract_features
    from llava_core.inference.place import choose_place
    from llava_core.settings import parse_value
    from llava_core.train.processes import launched

    rank, world, local_rank = launched()
    share = (rank, world) if shard is None else _share(shard)
    kept: Any = LAYERS if layers is None else parse_value(tuple[int, ...], layers, name="layers")
    place, precision = choose_place(device, dtype, local_rank=local_rank)
    dataset = load_dataset(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    checkpoints = {"finetune": checkpoint, **({"align": stage1} if stage1 else {})}
    with _bar("extract features", hidden=rank > 0) as tick:
        written = extract_features(
            checkpoints, examples, out, data_fingerprint=dataset.fingerprint, device=place, dtype=precision,
            clip=clip, layers=kept, shard=share, progress=tick,
        )  # fmt: skip
    if written is None:
        typer.echo(f"share {share[0]}/{share[1]} is done; the last process to end joins them all: {out}")
    elif rank == 0 or shard is not None:
        _done(out)


Checkpoint = Annotated[str, typer.Option(help="Checkpoint: a folder or what else can be loaded.")]
MaxNewTokens = Annotated[int, typer.Option(help="Longest answer, in tokens.", min=1)]
TemplateName = Annotated[
    str, typer.Option(help="How a model of others is asked: v0, v1, llava_v1, llama_2; ours say it.")
]
Quantized = Annotated[
    Literal["8bit", "4bit"] | None, typer.Option(help="Load in so many bits, on a GPU with bitsandbytes.")
]
Temperature = Annotated[float, typer.Option(help="0 takes the likeliest token; above 0 draws.", min=0.0)]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest tokens of this share.", min=0.01, max=1.0)]
DrawSeed = Annotated[int, typer.Option(help="Seed of the draws.")]


@app.command(epilog="Example: llava answer --checkpoint checkpoint/finetune --questions q.jsonl")
def answer(
    checkpoint: Checkpoint,
    image: Annotated[
        list[str] | None, typer.Option(help="File or address; several are shown together.")
    ] = None,
    images: Annotated[Path | None, typer.Option(help="Folder: ask about each image in it.")] = None,
    question: Annotated[str | None, typer.Option(help="What to ask about --image or --images.")] = None,
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines with question, image (path, address or list), id.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Multiple choice: ScienceQA's layout, .jsonl or .parquet.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="Part of --data; all if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write to; a later run goes on with it.")] = None,
    limit: Limit = None,
    batch_size: Annotated[int, typer.Option(help="Answers do not depend on it.", min=1)] = 8,
    max_new_tokens: MaxNewTokens = 512,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: DrawSeed = 0,
    device: Device = None,
    dtype: Dtype = None,
    template: TemplateName = "v1",
    quantize: Quantized = None,
) -> None:
    """Answer questions: one JSON line each. On --data also the likeliest option."""
    from llava_core.inference.answer_file import answer_questions, answered, append_lines, settings_key
    from llava_core.inference.questions import Question, folder_questions, read_questions

    if data is not None:
        _only("--data", image=image, images=images, question=question, questions=questions, out=out)
    elif questions is not None:
        _only("--questions", image=image, images=images, question=question, part=part)
        asked = read_questions(questions)
    elif question is None:
        raise InputError("got nothing to ask, expected --question, --questions or --data")
    elif images is not None:
        _only("--images", image=image, part=part)
        asked = folder_questions(images, question)
    else:
        _only("--question", part=part)
        asked = [Question(id="1", text=question, images=tuple(image or ()))]

    from llava_core.inference.assistant import Llava
    from llava_core.inference.decoding import Decoding

    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
    load = partial(Llava.load, checkpoint, device=device, dtype=dtype, template=template, quantize=quantize)
    if data is not None:
        examples = _examples(data, part, limit)
        _choose(load(), examples, decoding, batch_size)
        return
    place = Path(checkpoint).resolve() if Path(checkpoint).exists() else checkpoint
    key = settings_key(
        {
            "checkpoint": place,
            "decoding": decoding,
            "dtype": dtype,
            "template": template,
            "quantize": quantize,
        }
    )
    asked = asked[:limit]
    done = set() if out is None else answered(out, asked, key)
    asked = [each for each in asked if each.id not in done]
    if asked:
        llava = load()
        with _bar("answer") as tick:
            answer_questions(
                llava,
                asked,
                decoding,
                settings=key,
                batch_size=batch_size,
                tell=partial(append_lines, out) if out is not None else _print_lines,
                progress=tick,
            )
    if out is not None:
        typer.echo(f"{len(asked)} answered, {len(done)} were there already: {out}", err=True)


@app.command(epilog="Example: llava chat --checkpoint checkpoint/finetune --image photo.jpg")
def chat(
    checkpoint: Checkpoint,
    image: Annotated[list[str] | None, typer.Option(help="File or address to begin with.")] = None,
    max_new_tokens: MaxNewTokens = 512,
    temperature: Temperature = 0.0,
    top_p: TopP = 1.0,
    seed: DrawSeed = 0,
    device: Device = None,
    dtype: Dtype = None,
    template: TemplateName = "v1",
    quantize: Quantized = None,
) -> None:
    """Talk about images; /help, once inside, tells how."""
    from llava_core.inference.assistant import Llava
    from llava_core.inference.decoding import Decoding
    from llava_core.inference.terminal import run_chat

    decoding = Decoding(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, seed=seed)
    llava = Llava.load(checkpoint, device=device, dtype=dtype, template=template, quantize=quantize)
    run_chat(llava.chat(decoding=decoding), image or [], console=Console(), notes=Console(stderr=True))


@app.command(epilog="Example: llava serve --checkpoint checkpoint/finetune --port 8000")
def serve(
    checkpoint: Checkpoint,
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "localhost",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=1, max=65535)] = 8000,
    device: Device = None,
    dtype: Dtype = None,
) -> None:
    """Serve a checkpoint to OpenAI clients, through transformers' server."""
    from llava_core.inference.place import choose_place
    from llava_core.inference.serve import servable_folder, serve_folder

    place, precision = choose_place(device, dtype)
    folder = servable_folder(checkpoint)
    typer.echo(f'http://{host}:{port}/v1 with "model": "{folder}" (Ctrl-C ends)', err=True)
    serve_folder(folder, host=host, port=port, device=place, dtype=precision)


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


def _only(chosen: str, **others: object) -> None:
    """Refuse options that the chosen one has no use for."""
    extra = [f"--{name}" for name, value in others.items() if value]
    if extra:
        raise InputError(f"got {' and '.join(extra)} beside {chosen}, which does not go together")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _examples(data: Path, part: str | None, limit: int | None) -> "Sequence[Example]":
    from llava_core.data.load import load_dataset

    dataset = load_dataset(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise _no_part(part, dataset.splits, data)
    return examples


def _choose(llava: "Llava", examples: Sequence["Example"], decoding: "Decoding", batch_size: int) -> None:
    """Print what the model says to multiple-choice questions and which option it finds likeliest."""
    import json

    from llava_core.inference.generate import generate, question_dialogue
    from llava_core.inference.logprob import option_logprobs
    from llava_core.inference.parse import parse_reply

    with _bar("score options") as tick:
        scores = option_logprobs(llava.bundle, examples, batch_size=batch_size, progress=tick)
    asked = [question_dialogue(llava.bundle, example) for example in examples]
    with _bar("generate") as tick:
        texts = generate(llava.bundle, asked, decoding, batch_size=batch_size, progress=tick)
    for example, score, text in zip(examples, scores, texts, strict=True):
        row = {
            "id": example.id,
            "text": text,
            "parsed": parse_reply(text, example.options, prompt=llava.bundle.prompt),
            "chosen": int(score.mean.argmax()),
            "mean_logprob": [round(float(value), 4) for value in score.mean],
        }
        typer.echo(json.dumps(row))


def _share(text: str) -> tuple[int, int]:
    """Return the number of a share and how many there are."""
    number, slash, n_shares = text.partition("/")
    if not (slash and number.isdecimal() and n_shares.isdecimal() and int(number) < int(n_shares)):
        raise InputError(
            f"got {text!r}, allowed are 0/4, 1/4 ... for the shares of 4 processes", field="shard"
        )
    return int(number), int(n_shares)


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
