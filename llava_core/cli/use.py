"""Commands that let a model speak: answer, chat, serve [edge]."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from llava_core.cli.terminal import (
    Device,
    Dtype,
    Limit,
    PromptName,
    app,
    bar,
    claim_file,
    no_part,
    read_data,
    resumable,
)
from llava_core.errors import InputError

if TYPE_CHECKING:
    from llava_core.data.example import Example

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
    context: typer.Context,
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
        Path | None, typer.Option(help="Multiple choice: ScienceQA in any layout, .jsonl or .parquet.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="Part of --data; all if not given.")] = None,
    out: Annotated[Path | None, typer.Option(help="File to write to; a later run goes on with it.")] = None,
    limit: Limit = None,
    batch_size: Annotated[int, typer.Option(help="Answers do not depend on it.", min=1)] = 8,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Longest answer, in tokens.", min=1, show_default="512; of --data what its prompt needs"
        ),
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            help="0 takes the likeliest token; above 0 draws.", min=0.0, show_default="0; QCM-LEPA 0.7"
        ),
    ] = None,
    top_p: TopP = 1.0,
    seed: DrawSeed = 0,
    device: Device = None,
    dtype: Dtype = None,
    template: TemplateName = "v1",
    prompt: PromptName = None,
    quantize: Quantized = None,
) -> None:
    """Answer questions: one JSON line each. On --data also the likeliest option."""
    if out is not None:
        out = claim_file(context, out, inputs=[questions, data, *map(Path, image or ())])
    from llava_core.inference.answer_file import answer_questions, answered, append_lines, settings_key
    from llava_core.inference.questions import Question, check_images, folder_questions, read_questions

    if data is not None:
        _only("--data", image=image, images=images, question=question, questions=questions)
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

    from llava_core.data.prompts import PROMPTS
    from llava_core.inference.asking import asking_bytes
    from llava_core.inference.assistant import Llava
    from llava_core.inference.choices import answer_choices, as_questions
    from llava_core.inference.decoding import Decoding
    from llava_core.inference.replies import own_decoding
    from llava_core.memory import announce

    load = partial(
        Llava.load,
        checkpoint,
        device=device,
        dtype=dtype,
        template=template,
        prompt=prompt,
        quantize=quantize,
    )
    tell = partial(append_lines, out) if out is not None else _print_lines
    place = Path(checkpoint).resolve() if Path(checkpoint).exists() else checkpoint
    made_with = {"checkpoint": place, "dtype": dtype, "template": template, "quantize": quantize}
    if data is not None:
        examples = _examples(data, part, limit)
        bundle = load().bundle
        own = own_decoding(
            PROMPTS[bundle.prompt],
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_p=top_p,
            seed=seed,
        )
        key = settings_key({**made_with, "decoding": own, "prompt": bundle.prompt})
        done = set() if out is None else answered(out, as_questions(bundle, examples), key)
        examples = [example for example in examples if example.id not in done]
        if examples and bundle.model.device.type == "cpu":
            needed = asking_bytes(bundle, examples, batch_size=batch_size, n_more_tokens=own.max_new_tokens)
            typer.echo(announce("answering", needed), err=True)
        with resumable(hidden=out is None), bar("answer") as tick:
            answer_choices(
                bundle, examples, own, settings=key, batch_size=batch_size, tell=tell, progress=tick
            )
        if out is not None:
            typer.echo(f"{len(examples)} answered, {len(done)} were there already: {out}", err=True)
        return
    if prompt is not None:
        raise InputError("got --prompt without --data, which alone holds multiple choice", field="prompt")
    decoding = Decoding(
        max_new_tokens=max_new_tokens or 512, temperature=temperature or 0.0, top_p=top_p, seed=seed
    )
    key = settings_key({**made_with, "decoding": decoding})
    asked = asked[:limit]
    done = set() if out is None else answered(out, asked, key)
    asked = [each for each in asked if each.id not in done]
    if asked:
        check_images(asked)
        llava = load()
        with resumable(hidden=out is None), bar("answer") as tick:
            answer_questions(
                llava,
                asked,
                decoding,
                settings=key,
                batch_size=batch_size,
                tell=tell,
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


def _only(chosen: str, **others: object) -> None:
    """Refuse options that the chosen one has no use for."""
    extra = [f"--{name}" for name, value in others.items() if value]
    if extra:
        raise InputError(f"got {' and '.join(extra)} beside {chosen}, which does not go together")


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)


def _examples(data: Path, part: str | None, limit: int | None) -> "Sequence[Example]":
    dataset = read_data(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise no_part(part, dataset.splits, data)
    n_lost = sum(example.has_image and example.image is None for example in examples)
    if n_lost:
        typer.echo(
            f"{n_lost} of {len(examples)} questions are asked without their image, which is not on disk",
            err=True,
        )
    return examples
