"""The command that checks a finished run, or holds it against another [edge]."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from studies.cli.terminal import app, one_line_errors, open_console
from studies.progress import printable, shown

MOST_NAMES = 20
"""Files or differences told of each kind."""


@app.command()
def verify(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    other: Annotated[
        Path | None, typer.Argument(help="Another one, to compare the results with.", show_default=False)
    ] = None,
) -> None:
    """Check that a run is as it was written, or that two runs came to the same.

    With one run: every hash of its manifest is computed again. With two: predictions bit for bit, and the
    summary but for times, machine and command.

    Ends with 0 where nothing differs, 1 where something does, 2 where there is no finished run.

    Example:  studies verify runs/scienceqa

    studies verify runs/first runs/again
    """
    with one_line_errors():
        same = _is_whole(run) if other is None else _are_same(run, other)
    raise typer.Exit(0 if same else 1)


def _is_whole(run: Path) -> bool:
    from studies.report.format import size
    from studies.verified import verify_run

    with shown(open_console(stderr=True)) as progress:
        found = verify_run(run, progress.stage("compute hashes, MB"))
    console = open_console()
    if found.is_whole:
        _say(
            console, f"{run}: {found.n_files:,} files, {size(found.n_bytes)}, all as manifest.json lists them"
        )
        return True
    kinds = {"changed": found.changed, "missing": found.missing, "added": found.added}
    counts = ", ".join(f"{len(names):,} {kind}" for kind, names in kinds.items() if names)
    _say(console, f"{run}: {found.n_files:,} files in manifest.json; {counts}")
    for kind, names in kinds.items():
        _list(console, f"{kind}:", names)
    return False


def _are_same(run: Path, other: Path) -> bool:
    from studies.catalog.same_results import compare_results

    with shown(open_console(stderr=True)) as progress:
        progress.stage("compare the results")
        found = compare_results(run, other)
    console = open_console()
    if found.differences:
        _list(console, f"{run} and {other} differ:", found.differences)
    else:
        what = f"predictions ({found.n_methods:,} methods) and summary" if found.n_methods else "summary"
        _say(
            console,
            f"{run} and {other}: the same {what} but for times, machine and command",
        )
    for note in found.notes:
        _say(console, note)
    return not found.differences


def _list(console: Console, head: str, lines: Sequence[str]) -> None:
    if lines:
        _say(console, head)
    for line in lines[:MOST_NAMES]:
        _say(console, f"  {line}")
    if len(lines) > MOST_NAMES:
        _say(console, f"  and {len(lines) - MOST_NAMES:,} more")


def _say(console: Console, text: str) -> None:
    console.print(printable(text), markup=False, highlight=False)
