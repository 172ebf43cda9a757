"""Commands that list the studies and run one [edge]."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from llava_core.errors import InputError
from studies.catalog import STUDIES
from studies.cli.terminal import app, one_line_errors, open_console, resumable, typed_command
from studies.progress import shown
from studies.rundir import SPEC_FILE, open_run
from studies.spec import base as specs


@app.command("list")
def list_studies() -> None:
    """List the studies and their presets.

    Example:  studies list
    """
    console = open_console()
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
    with one_line_errors():
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
        report = run_spec(spec, out if out is not None else Path("runs") / study, resume=resume)
        typer.echo(f"report: {report}")


def run_spec(spec: specs.StudySpec, folder: Path, *, resume: bool) -> Path:
    """Run a study in a folder, showing how far it is, and return the path of its report."""
    if str(folder).startswith("--"):
        raise InputError(f"got {folder}, an option; allowed is a folder", field="--out")

    def differ(stored: str) -> list[str]:
        return specs.differences(spec, stored, path=folder / SPEC_FILE)

    with (
        resumable("" if resume else " with --resume"),
        open_run(folder, spec=specs.to_json(spec), resume=resume, differ=differ) as run,
        shown(open_console(stderr=True)) as progress,
    ):
        return STUDIES[spec.study].run(spec, run, progress, typed_command())
