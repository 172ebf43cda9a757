"""The `studies` command [edge].

Reads options, opens the run folder, shows progress; everything else is done by `studies.catalog` and
`studies.pipeline`. Bad input and a full disk end with one line on stderr and exit code 2.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from llava_core.errors import InputError, told_in_one_line
from studies.catalog import STUDIES
from studies.progress import shown
from studies.rundir import SPEC_FILE, open_run
from studies.spec import base as specs

WIDTH = 80

app = typer.Typer(
    help="Run studies over LLaVA's features: ensembles against the LLM, with it, and as probes.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": WIDTH},
)
data_app = typer.Typer(help="Write bundled data.", no_args_is_help=True)
app.add_typer(data_app, name="data")

OutFile = Annotated[Path, typer.Option("--out", help="File to write.", show_default=False)]


def main() -> None:
    """Entry point of the `studies` command."""
    # Threads that spin while they wait starve each other on busy cores: LightGBM took 86 s in place of 0.2 s.
    # A short spin (microseconds) keeps two threads of a small training step together: 0.070 s, else 0.096 s.
    # OpenMP reads both when a library first loads it, which is after these lines.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "3000")
    app()


@app.command("list")
def list_studies() -> None:
    """List the studies and their presets.

    Example:  studies list
    """
    console = _console()
    for name, study in STUDIES.items():
        console.print(f"[bold]{name}[/bold]  {escape(study.title)}")
        console.print(f"presets: {', '.join(study.spec.PRESETS)}")
        console.print(f"settings for --set: {', '.join(specs.setting_names(study.spec))}")


@app.command("run")
def run_study(
    study: Annotated[str, typer.Argument(help="Name of the study, see `studies list`.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder in ScienceQA's layout, or a JSONL or parquet file; the bundled data without it."
        ),
    ] = None,
    llava: Annotated[
        str | None,
        typer.Option(help="LLaVA in any layout, folder or hub name; nothing is trained then."),
    ] = None,
    features: Annotated[
        Path | None, typer.Option(help="Feature store of the data; torch is not needed then.")
    ] = None,
    llm_answers: Annotated[
        list[Path] | None, typer.Option(help="File of published LLM answers; repeatable.")
    ] = None,
    preset: Annotated[str, typer.Option(help="Named settings, see `studies list`.")] = "default",
    trials: Annotated[
        int | None, typer.Option(help="Tuning trials per method.", show_default="by preset")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Run folder.", show_default="runs/STUDY")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in that folder.")] = False,
    limit: Annotated[int | None, typer.Option(help="Questions per part.", show_default="all")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Setting as field=value; repeatable.")
    ] = None,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Go on where the leakage audit fails.")
    ] = False,
) -> None:
    """Run a study and write its report.

    Example:  studies run ensemble_vs_llm

    studies run ensemble_vs_llm --data SCIENCEQA --out runs/scienceqa

    studies run ensemble_vs_llm --data SCIENCEQA --llava CHECKPOINT --out runs/llava

    studies run ensemble_vs_llm --data SCIENCEQA --llm-answers ANSWERS.json --out runs/answers

    studies run ensemble_vs_llm --trials 30 --set folds=5 --out runs/folds5

    studies run stage_ablation --set seeds=0,1,2 --out runs/stages
    """
    with _one_line_errors():
        if study not in STUDIES:
            raise InputError(f"got {study!r}, allowed are {', '.join(STUDIES)}", field="study")
        spec = specs.resolve(
            STUDIES[study].spec,
            study,
            preset=preset,
            settings=settings or (),
            data=data,
            llava=llava,
            features=features,
            llm_answers=tuple(llm_answers) if llm_answers else None,
            trials=trials,
            seed=seed,
            limit=limit,
            allow_leak=allow_leak or None,
        )
        folder = out if out is not None else Path("runs") / study

        def differ(stored: str) -> list[str]:
            return specs.differences(spec, stored, path=folder / SPEC_FILE)

        with open_run(folder, spec=specs.to_json(spec), resume=resume, differ=differ) as run:
            with shown(_console(stderr=True)) as progress:
                report = STUDIES[study].run(spec, run, progress, _command())
            typer.echo(f"report: {report}")


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
    data: Annotated[Path, typer.Option(help="Questions, labelled or not.", show_default=False)],
    out: OutFile,
    llm_answers: Annotated[list[Path] | None, typer.Option(help="LLM answers to these questions.")] = None,
    features: Annotated[Path | None, typer.Option(help="Feature store of these questions.")] = None,
    method: Annotated[
        str | None, typer.Option(help="Method of the run.", show_default="the run's choice")
    ] = None,
) -> None:
    """Answer questions with the models of a run.

    Example:  studies predict runs/scienceqa --data new.jsonl --out answers.parquet
    """
    from studies.catalog.predict import predict_with

    with _one_line_errors():
        with shown(_console(stderr=True)) as progress:
            written = predict_with(
                run,
                data=data,
                out=out,
                llm_answers=tuple(llm_answers or ()),
                features=features,
                method=method,
                progress=progress,
            )
        typer.echo(f"predictions: {written}")


@app.command("tune-worker")
def tune_worker(
    run: Annotated[Path, typer.Argument(help="Folder of a run that shares its tuning.", show_default=False)],
    storage: Annotated[
        str | None,
        typer.Option(help="URL by which this host reaches the run's database.", show_default="the run's"),
    ] = None,
    jobs: Annotated[int, typer.Option(help="Threads of a fit.", min=1)] = 1,
) -> None:
    """Run tuning trials of a run in another process or on another host.

    Ends when the run has tuned everything. Start as many as there are cores to spare.

    Example:  studies run ensemble_vs_llm --set storage=journal --out runs/a

    studies tune-worker runs/a
    """
    from studies.catalog.sharing import work

    with _one_line_errors():
        with shown(_console(stderr=True)) as progress:
            n_run = work(run, progress, storage=storage, jobs=jobs)
        typer.echo(f"trials: {n_run}")


@app.command()
def report(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.", show_default=False)],
) -> None:
    """Render the report of a finished run again, from what it stored.

    Example:  studies report runs/ensemble_vs_llm
    """
    from studies.catalog.outputs import render

    with _one_line_errors():
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
    from studies.report.optuna_table import tuning_table

    run = Path(source) if "://" not in source else None
    with _one_line_errors():
        if run is None or not run.is_dir():
            if random:
                raise InputError(
                    "got no run folder; a random search needs the rows that the trials were judged on",
                    field="--random",
                )
            if dashboard:
                raise typer.Exit(server.serve_studies(run or source, port=port))
            page = out or Path(OPTUNA_FILE)
            views = report_on_studies(run or source, page)
        else:
            tuned_members(run)
            with shown(_console(stderr=True)) as progress:
                if random:
                    compare_at_random(run, progress)
                if dashboard:
                    raise typer.Exit(server.serve_run(run, progress, port=port))
                progress.stage("read the trials")
                page, views = write_tuning_report(run, out)
        _console().print(tuning_table(views))
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

    from studies.catalog.compare import compare_runs, read_runs
    from studies.files import write_json
    from studies.report import terminal_rows, write_comparison

    with _one_line_errors():
        if out.suffix != ".html":
            raise InputError(f"got {out.name}, allowed is a name that ends in .html", field="out")
        with shown(_console(stderr=True)) as progress:
            progress.stage("read the runs")
            found = read_runs(runs)
            compared = compare_runs(found, tick=progress.stage("compare the runs"))
        write_json(out.with_suffix(".json"), compared)
        write_comparison(compared, out)
        console = _console()
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
        typer.echo(f"comparison: {out}")


@data_app.command("mini")
def data_mini(
    out: Annotated[Path, typer.Option(help="Folder to write.", show_default=False)],
    seed: Annotated[int, typer.Option(help="Seed of the generator; 0 is the frozen data.")] = 0,
) -> None:
    """Write the bundled Mini-ScienceQA in the official ScienceQA layout.

    Example:  studies data mini --out data/mini
    """
    with _one_line_errors():
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError("exists and is not empty, allowed is a new or empty folder", path=out)
        from llava_core.data.mini import write_mini

        with shown(_console(stderr=True)) as progress:
            write_mini(out, seed=seed, progress=progress.stage("draw questions and images"))
        typer.echo(f"data: {out}")


def _console(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr)
    return console if console.width <= WIDTH or console.is_terminal else Console(stderr=stderr, width=WIDTH)


def _command() -> str:
    """Return the command line as it was typed, for the report."""
    return shlex.join(["studies", *sys.argv[1:]])


@contextmanager
def _one_line_errors() -> Iterator[None]:
    """Turn input that a user can mend, and files that cannot be written, into one line and exit code 2."""
    try:
        yield
    except (InputError, OSError) as error:
        problem = told_in_one_line(error)
        if problem is None:
            raise
        typer.echo("error: " + " ".join(problem.split()), err=True)
        raise typer.Exit(2) from None
