"""Commands on finished models: convert, extract [edge]."""

from pathlib import Path
from typing import Annotated, Any

import typer

from llava_core.cli.terminal import (
    Data,
    Device,
    Dtype,
    Limit,
    PromptName,
    app,
    bar,
    claim,
    done,
    no_part,
    read_data,
    resumable,
)
from llava_core.errors import InputError


@app.command(
    epilog="Example: llava convert --source liuhaotian/llava-v1.5-7b --out models/llava-v1.5-7b\n\n"
    "A stage 1 alone: llava convert --clip openai/clip-vit-large-patch14 --llm lmsys/vicuna-7b-v1.5 "
    "--projector mm_projector.bin --out models/aligned"
)
def convert(
    context: typer.Context,
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
    prompt: PromptName = None,
    dtype: Annotated[str, typer.Option(help="Precision on disk: bfloat16, float16 or float32.")] = "bfloat16",
) -> None:
    """Write any LLaVA, or a CLIP and a language model, as a checkpoint that stock transformers loads too."""
    from llava_core.checkpoint.convert import convert_model

    claim(context, out)
    convert_model(
        source, out, clip=clip, llm=llm, projector=projector, template=template, prompt=prompt, dtype=dtype
    )
    done(out)


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
    prompt: PromptName = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="Hidden states to keep: 0 the embeddings, -1 the last layer's.", show_default="-3,-1"
        ),
    ] = None,
    clip_layers: Annotated[
        str | None,
        typer.Option(
            help="Hidden states of the vision tower to keep too, such as -4,-3,-2,-1.", show_default="none"
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
    from llava_core.features.extract import LAYERS, extract_features
    from llava_core.inference.place import choose_place
    from llava_core.settings import parse_value
    from llava_core.train.processes import launched

    rank, world, local_rank = launched()
    share = (rank, world) if shard is None else _share(shard)
    kept: Any = LAYERS if layers is None else parse_value(tuple[int, ...], layers, name="layers")
    of_tower: Any = parse_value(tuple[int, ...], clip_layers or "", name="clip_layers")
    place, precision = choose_place(device, dtype, local_rank=local_rank)
    dataset = read_data(data, hidden=rank > 0)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise no_part(part, dataset.splits, data)
    checkpoints = {"finetune": checkpoint, **({"align": stage1} if stage1 else {})}
    with resumable(hidden=rank > 0), bar("extract features", hidden=rank > 0) as tick:
        written = extract_features(
            checkpoints, examples, out, data_fingerprint=dataset.fingerprint, device=place, dtype=precision,
            clip=clip, prompt=prompt, layers=kept, clip_layers=of_tower, shard=share, progress=tick,
            tell=lambda line: typer.echo(line, err=True),
        )  # fmt: skip
    if written is None:
        typer.echo(f"share {share[0]}/{share[1]} is done; the last process to end joins them all: {out}")
    elif rank == 0 or shard is not None:
        done(out)


def _share(text: str) -> tuple[int, int]:
    """Return the number of a share and how many there are."""
    number, slash, n_shares = text.partition("/")
    if not (slash and number.isdecimal() and n_shares.isdecimal() and int(number) < int(n_shares)):
        raise InputError(
            f"got {text!r}, allowed are 0/4, 1/4 ... for the shares of 4 processes", field="shard"
        )
    return int(number), int(n_shares)
