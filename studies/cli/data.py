"""Command that writes the bundled data [edge]."""

from pathlib import Path
from typing import Annotated

import typer

from llava_core.errors import InputError
from studies.cli.terminal import app, one_line_errors, open_console
from studies.progress import shown

data_app = typer.Typer(help="Write bundled data.", no_args_is_help=True)
app.add_typer(data_app, name="data")


@data_app.command("mini")
def data_mini(
    out: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed of the generator; 0 is the frozen data.")] = 0,
) -> None:
    """Write the bundled Mini-ScienceQA in the official ScienceQA layout.

    Example:  studies data mini --out data/mini
    """
    with one_line_errors():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError("exists and is not empty, allowed is a new or empty folder", path=out)
        from llava_core.data.mini import write_mini

        with shown(open_console(stderr=True)) as progress:
            write_mini(out, seed=seed, progress=progress.stage("draw questions and images"))
        typer.echo(f"data: {out}")
