"""Commands that report on finished runs [edge]."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from llava_core.claims import claimed_file
from llava_core.errors import InputError
from studies.cli.terminal import WIDTH, app, one_line_errors, open_console, resumable
from studies.progress import shown


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
) -> None:
    """Render the report of a finished run again, from what it stored.

    Example:  studies report runs/ensemble_vs_llm
    """
    from studies.catalog.outputs import render

    with one_line_errors():
        typer.echo(f"report: {render(run)}")


@app.command("optuna")
def report_tuning(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            help="Run folder, finished or not; or any Optuna journal, SQLite file or URL.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Page to write; CSV and JSON beside it.", show_default="optuna.html, in the run"),
    ] = None,
    random: Annotated[
        bool,
        typer.Option(
            "--random", help="First run, for the verdict, a random search of as many trials per member."
        ),
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Serve optuna-dashboard instead, until Ctrl-C.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65535)] = 8080,
) -> None:
    """Report what tuning was worth: a page, a table, the trials as CSV and JSON.

    Example:  studies optuna runs/scienceqa --random

    studies optuna journal.log --out tuning.html

    studies optuna runs/scienceqa --dashboard
    """
    from studies.catalog import dashboard as server
    from studies.catalog.outputs import OPTUNA_FILE, write_tuning_report
    from studies.catalog.tuning_report import compare_at_random, report_on_studies, tuned_members
    from studies.report.optuna_page import files_beside
    from studies.report.optuna_table import tuning_table

    run = Path(source) if "://" not in source else None
    with one_line_errors():
        if out is not None:
            _check_page(out)
        if run is None or not run.is_dir():
            if random:
                raise InputError(
                    "got no run folder; a random search needs the rows that the trials were judged on",
                    field="--random",
                )
            if dashboard:
                raise typer.Exit(server.serve_studies(run or source, port=port))
            read = run or Path(source.removeprefix("sqlite:///"))
            with claimed_file(out or Path(OPTUNA_FILE), inputs=[read], beside=files_beside) as page:
                views = report_on_studies(run or source, page)
        else:
            tuned_members(run)
            with (
                nullcontext() if out is None else claimed_file(out, beside=files_beside) as elsewhere,
                shown(open_console(stderr=True)) as progress,
            ):
                if random:
                    with resumable():
                        compare_at_random(run, progress)
                if dashboard:
                    raise typer.Exit(server.serve_run(run, progress, port=port))
                progress.stage("read the trials")
                page, views = write_tuning_report(run, elsewhere)
        open_console().print(tuning_table(views))
        typer.echo(f"report: {page}")


@app.command(epilog="Example: studies compare runs/seed0 runs/seed1 --out compare.html")
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of finished runs.", show_default=False)],
    out: Annotated[
        Path, typer.Option(help="Page to write; a JSON file of its name stands beside it.")
    ] = Path("compare.html"),
) -> None:
    """Draw several runs into one page: other data, checkpoints, settings or seeds.

    Differences are taken between runs on the same data, on the questions that both scored.
    """
    from rich.table import Table

    from studies.catalog.compare import BEGINNING, compare_runs, read_runs
    from studies.files import write_json
    from studies.report import terminal_rows, write_comparison

    with one_line_errors():
        _check_page(out)
        with claimed_file(out, beside=lambda page: {page.with_suffix(".json"): BEGINNING}) as page:
            with shown(open_console(stderr=True)) as progress:
                progress.stage("read the runs")
                found = read_runs(runs)
                compared = compare_runs(found, tick=progress.stage("compare the runs"))
            write_json(page.with_suffix(".json"), compared)
            write_comparison(compared, page)
        console = open_console()
        head, rows = terminal_rows(compared)
        table = Table(box=None, pad_edge=False, width=min(console.width, WIDTH))
        for place, name in enumerate(head):
            table.add_column(escape(name), justify="left" if place == 0 else "right", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        console.print(table)
        console.print(escape(compared["sentence"]))
        for note in compared["notes"]:
            console.print(escape(note))
        typer.echo(f"comparison: {page}")


def _check_page(out: Path) -> None:
    if out.suffix != ".html":
        raise InputError(f"got {out.name}, allowed is a name that ends in .html", field="out")
