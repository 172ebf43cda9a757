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

    Where the same stands already, nothing is written.

    Example:  studies data mini --out data/mini
    """
    from llava_core.data.mini import holds_mini, write_mini
    from llava_core.folders import clear_drafts

    with one_line_errors():
        is_taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
        with shown(open_console(stderr=True)) as progress:
            tick = progress.stage("draw questions and images")
            if not is_taken:
                write_mini(out, seed=seed, progress=tick)
            elif holds_mini(out, seed=seed, progress=tick):
                clear_drafts(out)  # by a run that was killed at its very end
            else:
                raise InputError("exists and is not empty, allowed is a new or empty folder", path=out)
        typer.echo(f"data: {out}")
