"""Command that probes a feature store, a finished run or vectors of one's own [edge]."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from studies.cli.study import run_spec
from studies.cli.terminal import app, one_line_errors, open_console
from studies.spec import base as specs
from studies.spec.probing import ProbingSpec

STUDY = "embedding_probe"


@app.command(epilog="Example: studies probe runs/scienceqa --target topic --target answer --out runs/topic")
def probe(
    source: Annotated[
        Path,
        typer.Argument(
            help="Feature store, finished run, or vectors of your own: .npy or .parquet.", show_default=False
        ),
    ],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="subject, topic, skill, grade, has_image, answer; a column of SOURCE; FILE or FILE:COLUMN. "
            "Repeatable.",
            show_default="skill, answer",
        ),
    ] = None,
    blocks: Annotated[
        str | None, typer.Option(help="Blocks or stages, with commas between.", show_default="all")
    ] = None,
    probes: Annotated[
        str | None, typer.Option(help="Families of probes, with commas between.", show_default="all")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Data set of a store.", show_default="the run's, or the bundled data")
    ] = None,
    groups: Annotated[
        str | None,
        typer.Option(
            help="Family of each row of your own: a column, FILE or FILE:COLUMN.", show_default="none"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[Path, typer.Option(help="Run folder.")] = Path("runs/probe"),
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    limit: Annotated[int | None, typer.Option(help="Items per part.", show_default="all")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting as field=value; repeatable.")
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Go on where the leakage audit fails.")
    ] = False,
) -> None:
    """Tell what probes read off each stage of LLaVA, or off embeddings of your own.

    Example:  studies probe embeddings.npy --target labels.csv --groups labels.csv:family
    """
    from studies.catalog.outputs import read_summary
    from studies.report.probing_table import probing_tables

    with one_line_errors():
        spec = specs.resolve(
            ProbingSpec,
            STUDY,
            settings=settings or (),
            source=source,
            targets=tuple(target) if target else None,
            blocks=_names(blocks),
            probes=_names(probes),
            data=data,
            groups=groups,
            seed=seed,
            limit=limit,
            allow_leak=allow_leak or None,
        )
        report = run_spec(spec, out, resume=resume)
        summary = read_summary(out)
        console = open_console()
        for table, foot in probing_tables(summary):
            console.print(table)
            console.print(escape(foot), highlight=False)
        typer.echo(f"report: {report}")


def _names(told: str | None) -> tuple[str, ...] | None:
    return None if told is None else tuple(name.strip() for name in told.split(",") if name.strip())
