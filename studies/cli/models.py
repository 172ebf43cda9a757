"""Commands that work with a run's models: answer with them, help to tune them [edge]."""

from pathlib import Path
from typing import Annotated

import typer

from llava_core.claims import claimed_file
from studies.cli.terminal import OutFile, app, one_line_errors, open_console
from studies.progress import shown


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

    with one_line_errors():
        inputs = [data, features, *(llm_answers or ())]
        with claimed_file(out, inputs=inputs) as place, shown(open_console(stderr=True)) as progress:
            written = predict_with(
                run,
                data=data,
                out=place,
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

    with one_line_errors():
        with shown(open_console(stderr=True)) as progress:
            n_run = work(run, progress, storage=storage, jobs=jobs)
        typer.echo(f"trials: {n_run}")
