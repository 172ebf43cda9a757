"""What all commands share: the application, their common options, progress and last words [edge]."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from llava_core.claims import claimed, claimed_file
from llava_core.errors import InputError

if TYPE_CHECKING:
    from llava_core.data.example import Dataset

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Train LLaVA in two stages, take its embeddings out, and let it answer.",
)

bench = typer.Typer(
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
    help="Score answers: ScienceQA's nine columns, LLaVA-Bench.",
)

Data = Annotated[Path, typer.Option(help="ScienceQA in any layout, or a .jsonl or .parquet file.")]
Part = Annotated[str, typer.Option(help="Part of the data set.")]
Seed = Annotated[int, typer.Option(help="Seed.", min=0)]
Limit = Annotated[int | None, typer.Option(help="Use the first so many questions only.", min=1)]
PromptName = Annotated[
    str | None,
    typer.Option(
        "--prompt", help="How multiple choice is asked: QCM-LEA, CQM-A ...; else as the model says."
    ),
]
Tick = Callable[[int, int], None]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, ...; the GPU if there is one.")]
Dtype = Annotated[str | None, typer.Option(help="float32, bfloat16 or float16; bfloat16 on a GPU.")]


@contextmanager
def bar(title: str, *, hidden: bool = False) -> Iterator[Tick]:
    """Show progress with the time left on standard error, once there is some: an error stays one line."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=Console(stderr=True), disable=hidden)
    task = progress.add_task(title, total=None)

    def tick(done: int, total: int) -> None:
        progress.start()
        progress.update(task, completed=done, total=total)

    try:
        yield tick
    finally:
        if progress.live.is_started:
            progress.stop()


def claim(context: typer.Context, out: Path) -> None:
    """Hold the place of a result, which is found out to be one that can be written, until the command ends.

    Raises
    ------
    InputError
        If another process holds it, or nothing can be written there.
    """
    context.with_resource(claimed(out))


def claim_file(context: typer.Context, out: Path, *, inputs: Iterable[Path | None]) -> Path:
    """Hold the place of a single file until the command ends, and return the file that it is to write.

    Raises
    ------
    InputError
        As by `claim`, or if that would destroy what nobody named.
    """
    return context.with_resource(claimed_file(out, inputs=inputs))


@contextmanager
def resumable(*, hidden: bool = False) -> Iterator[None]:
    """Say on Ctrl-C that nothing is lost."""
    try:
        yield
    except KeyboardInterrupt:
        if not hidden:
            typer.echo("stopped; the same command goes on from here", err=True)
        raise


def read_data(data: Path, *, hidden: bool = False) -> "Dataset":
    """Read a data set, with a bar."""
    from llava_core.data.load import load_dataset

    with bar(f"read {data.name}", hidden=hidden) as tick:
        return load_dataset(data, progress=tick)


def done(out: Path) -> None:
    """Say where the result is."""
    typer.echo(f"written: {out}")


def no_part(part: str | None, splits: Iterable[str], data: Path) -> InputError:
    """Return the error of a part that the data does not have."""
    names = ", ".join(splits)
    allowed = f"allowed are {names}" if names else "the data has no parts"
    return InputError(f"got {part!r}, {allowed}", path=data, field="part")
