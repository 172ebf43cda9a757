"""Command that writes the bundled data [edge]."""

from pathlib import Path
from typing import Annotated

import typer

from llava_core.claims import claimed
from llava_core.drafts import whole_folder
from llava_core.folders import check_replaceable
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
        check_replaceable(out, marks=())
        from llava_core.data.mini import write_mini

        with (
            claimed(out),
            whole_folder(out) as draft,
            shown(open_console(stderr=True)) as progress,
        ):
            write_mini(draft, seed=seed, progress=progress.stage("draw questions and images"))
        typer.echo(f"data: {out}")
