"""What all commands share: the application, the console, and errors in one line [edge]."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from llava_core.errors import told_in_one_line
from llava_core.keys import without_secrets

WIDTH = 80

app = typer.Typer(
    help="Run studies over LLaVA's features: ensembles against the LLM, with it, and as probes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)

OutFile = Annotated[Path, typer.Option("--out", help="File to write.", show_default=False)]


def open_console(*, stderr: bool = False) -> Console:
    """Return a console that is no wider than a terminal is usually."""
    console = Console(stderr=stderr)
    return console if console.width <= WIDTH or console.is_terminal else Console(stderr=stderr, width=WIDTH)


def typed_command() -> str:
    """Return the command line as it was typed, for the report, keys and passwords hidden."""
    return without_secrets(shlex.join(["studies", *sys.argv[1:]]))


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn input that a user can mend, and files that cannot be written, into one line and exit code 2."""
    try:
        yield
    except Exception as error:
        problem = told_in_one_line(error)
        if problem is None:
            raise
        typer.echo("error: " + " ".join(problem.split()), err=True)
        raise typer.Exit(2) from None


@contextmanager
def resumable(how: str = "") -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost, and how the same command goes on."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command{how} goes on from here", err=True)
        raise
