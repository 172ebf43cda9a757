"""The report about the tuning of a run, finished or not, or about Optuna studies of anyone's [edge].

Reads journals, the summary's outer scores and what `studies.catalog.compared` found. Left out: drawing,
which is `studies.report.optuna_page`.
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from shlex import join, quote
from typing import Any

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ensembles.registry import MEMBERS
from llava_core.errors import InputError
from llava_core.keys import without_secrets
from studies.catalog.backends import check_backends, fitting_on
from studies.catalog.compared import (
    compare_members,
    comparison_of,
    ended_trials,
    journal_of,
    random_journal_of,
    read_comparison,
    search_at_random,
)
from studies.catalog.folds import FoldMatrices, encode_ground_folds
from studies.catalog.ground import blocks_without_llava
from studies.catalog.methods import describe
from studies.catalog.reopened import check_tuned_on, reopen_ground
from studies.progress import Progress
from studies.report import format, studies_of, write_optuna_report
from studies.report.optuna_view import TunedStudy
from studies.rundir import SPEC_FILE, RunDir, open_run
from studies.spec.base import from_json
from studies.spec.ensemble import EnsembleSpec
from studies.verified import checked, is_finished, read_manifest, rewriting

Facts = Mapping[str, Any]
WRITTEN = ("optuna/*.random.journal", "optuna/*.compared.json", "steps/random.*", "steps/compare.*")
"""Files of a run that a random search and the comparisons after it write."""


def tuned_members(run_path: Path) -> list[str]:
    """Return the members that have a journal in a run, in the order of the registry.

    Raises
    ------
    InputError
        If the folder holds no run, or one that tuned nothing.
    """
    if not (run_path / SPEC_FILE).is_file():
        raise InputError(
            "holds no run, allowed is a run folder, a journal or a database's URL", path=run_path
        )
    members = [name for name in MEMBERS if (run_path / journal_of(name)).is_file()]
    if not members:
        raise InputError("tuned nothing yet: there is no journal in optuna/", path=run_path)
    return members


def report_on_run(
    run_path: Path, out: Path, *, summary: Facts | None = None, title: str = "Tuning"
) -> list[dict[str, Any]]:
    """Write the page about the tuning of a run, and return what it shows of each member.

    Parameters
    ----------
    run_path : Path
    out : Path
        Page to write; `studies.report.optuna_page.write_optuna_report` tells what is written beside it.
    summary : mapping, optional
        Of a finished run: it has the outer scores, and the command to resume.
    title : str

    Raises
    ------
    InputError
        If a journal or comparison of a finished run was changed after it.
    """
    _check_files(run_path)
    return write_optuna_report(
        [one for name in tuned_members(run_path) for one in _of_member(run_path, name, summary)],
        out,
        title=title,
        source=f"run folder {run_path.name}",
    )


def report_on_studies(source: Path | str, out: Path) -> list[dict[str, Any]]:
    """Write the page about the studies of a journal, an SQLite file or a database's URL."""
    shown = source.name if isinstance(source, Path) else without_secrets(source)
    return write_optuna_report(studies_of(source), out, title=f"Tuning: {shown}", source=shown)


def compare_at_random(run_path: Path, progress: Progress) -> None:
    """Run what the verdict about a run's tuning lacks: a random search of each member, then the comparisons.

    What was done before is not done again. The cost is told first.

    Raises
    ------
    InputError
        If the run tuned nothing, another process works in it, its data or features are not there any more, or
        a file of a finished run was changed after it.
    """
    spec_file, members = run_path / SPEC_FILE, tuned_members(run_path)
    _check_files(run_path)
    text = spec_file.read_text(encoding="utf-8")
    spec = from_json(EnsembleSpec, text, path=spec_file)
    check_backends(spec)
    with (
        open_run(run_path, spec=text, resume=True, differ=lambda stored: []) as run,
        threadpool_limits(1, user_api="blas"),
        fitting_on(spec),
    ):
        ground = reopen_ground(spec, run, progress)
        members = [name for name in members if not _failed(run, name)]
        for name in members:
            check_tuned_on(ground, name)
        progress.note(_cost(run, members, spec))

        @cache
        def folds() -> FoldMatrices:
            progress.stage("encode the folds")
            return encode_ground_folds(ground, ground.folds)

        blocks = blocks_without_llava(ground)
        with rewriting(run_path, WRITTEN, added=("oof/*",)) if is_finished(run_path) else nullcontext():
            search_at_random(ground, members, folds, progress, blocks=blocks)
            compare_members(ground, members, folds, progress, blocks=blocks)


def _check_files(run_path: Path) -> None:
    """Check what the report on a finished run reads; a comparison is not listed while it is made anew."""
    if is_finished(run_path):
        listed, members = read_manifest(run_path)["files"], tuned_members(run_path)
        comparisons = [comparison_of(name) for name in members if comparison_of(name) in listed]
        checked(run_path, SPEC_FILE, *map(journal_of, members), *comparisons)


def _of_member(run_path: Path, name: str, summary: Facts | None) -> Sequence[TunedStudy]:
    kind = MEMBERS[name]
    methods = {method["name"]: method for method in (summary or {}).get("methods", ())}
    found = read_comparison(run_path, name)
    return studies_of(
        run_path / journal_of(name),
        label=describe(name).label,
        method=name,
        comparison=found,
        outer=methods.get(name, {}).get("log_loss"),
        complexity=lambda params: kind.complexity({**kind.defaults, **params}),
        resume=_resume(summary, run_path),
        compare=None if found and found["random"] else f"studies optuna {quote(str(run_path))} --random",
    )


def _failed(run: RunDir, name: str) -> bool:
    """Whether no trial of a member was completed."""
    return all(trial.state.name != "COMPLETE" for trial in ended_trials(run.path / journal_of(name)))


def _cost(run: RunDir, members: Sequence[str], spec: EnsembleSpec) -> str:
    """Say what the random searches will take, at the pace of the tuning."""
    n_trials, spent = 0, 0.0
    for name in members:
        trials = ended_trials(run.path / journal_of(name))
        journal = run.path / random_journal_of(name)
        done = len(ended_trials(journal)) if journal.is_file() else 0
        left = max(0, len(trials) - done)
        n_trials += left
        spent += sum(float(t.user_attrs.get("fit_s", 0.0)) for t in trials) * left / len(trials)
    if not n_trials:
        return "the random searches are done; nothing is fitted"
    return (
        f"random search: {n_trials:,} trials of {len(members)} members, as many as the tuning had; "
        f"about {format.seconds(spent / spec.jobs)} at its pace"
    )


def _resume(summary: Facts | None, run_path: Path) -> str:
    command = (summary or {}).get("provenance", {}).get("command")
    if command is None:
        return f"studies run ... --out {join([str(run_path)])} --resume, with the settings of spec.json"
    return command if "--resume" in command.split() else f"{command} --resume"
