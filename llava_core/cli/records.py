"""`llava records`: questions as conversations of LLaVA's record format [edge]."""

from pathlib import Path
from typing import Annotated

import typer

from llava_core.cli.terminal import Data, Limit, app, claim_file, done, no_part, read_data


@app.command(
    epilog="Example: llava records --data SCIENCEQA --part train --out records.json\n\n"
    "Then: llava finetune --chat records.json --recipe scienceqa_7b --base ckpt/align --out ckpt/sqa"
)
def records(
    context: typer.Context,
    data: Data,
    out: Annotated[Path, typer.Option(help="File to write: a JSON list.")],
    part: Annotated[str | None, typer.Option(help="Part of the data set; all if not given.")] = None,
    prompt: Annotated[
        str, typer.Option(help="How questions and answers read: QCM-LEPA, CQM-A ...")
    ] = "QCM-LEA",
    image_root: Annotated[
        Path | None, typer.Option(help="Folder that image paths are relative to; else that of the file.")
    ] = None,
    limit: Limit = None,
) -> None:
    """Write multiple-choice questions as LLaVA records, to train stage 2 with."""
    from llava_core.data.llava_records import write_records
    from llava_core.data.prompts import find_prompt

    chosen = find_prompt(prompt)
    place = claim_file(context, out, inputs=[data])
    dataset = read_data(data)
    examples = (dataset.split(part) if part else dataset.examples)[:limit]
    if not examples:
        raise no_part(part, dataset.splits, data)
    told = write_records(examples, chosen, place, image_root=image_root or out.parent)
    for n, why in ((told.n_unlabelled, "without an answer"), (told.n_lost, "whose image is not on disk")):
        if n:
            typer.echo(f"passed over: {n} questions {why}", err=True)
    typer.echo(f"{told.n_records} records", err=True)
    done(out)
