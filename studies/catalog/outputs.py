"""The files that a run ends with: tables, summary, pages and, last, the manifest [edge]."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pandas as pd

from llava_core.data.example import Example
from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError, shown
from studies.catalog.questions import write_questions
from studies.files import write_json
from studies.predictions import write_predictions
from studies.rundir import RunDir, held
from studies.verified import checked, is_finished, rewriting

PREDICTIONS_FILE = "predictions.parquet"
QUESTIONS_FILE = "questions.parquet"
SUMMARY_FILE = "summary.json"
REPORT_FILE = "report.html"
OPTUNA_FILE = "optuna.html"
PAGES = ("report.*", "optuna.*", "tables/*", "variants.csv", "probes.csv")
"""Files that are rendered from the others, and may be again."""
SCHEMA_VERSION = 1


def write_outputs(
    run: RunDir, predictions: pd.DataFrame, questions: Sequence[Example], summary: Mapping[str, Any]
) -> Path:
    """Write predictions, the questions scored, summary, pages and the manifest; return the report's path."""
    write_predictions(predictions, run.path / PREDICTIONS_FILE)
    write_questions(questions, run.path / QUESTIONS_FILE)
    return write_summary(run, summary)


def write_summary(run: RunDir, summary: Mapping[str, Any]) -> Path:
    """Write summary, pages and the manifest of a run; return the report's path."""
    write_json(run.path / SUMMARY_FILE, summary)
    report = _render(run.path, summary)
    run.finish({"study": summary["study"], "data": summary["data"]["fingerprint"], **summary["provenance"]})
    return report


def read_summary(path: Path) -> dict[str, Any]:
    """Return the summary of a finished run.

    Raises
    ------
    InputError
        If the folder holds no finished run, or the summary was changed after it.
    """
    file = checked(Path(path), SUMMARY_FILE)
    summary = read_json_object(file)
    version = summary.get("schema_version")
    if version != SCHEMA_VERSION:
        raise InputError(f"got schema version {shown(version)}, allowed is {SCHEMA_VERSION}", path=file)
    return summary


def render(path: Path) -> Path:
    """Render the pages of a finished run again from its summary and journals; return the report's path.

    In the manifest the new pages replace the old ones.
    """
    summary = read_summary(path)
    with held(path), rewriting(path, PAGES):
        return _render(path, summary)


def write_tuning_report(path: Path, out: Path | None = None) -> tuple[Path, list[dict[str, Any]]]:
    """Write the page about the tuning of a run; return its path and what it shows of each member.

    Parameters
    ----------
    path : Path
        Run folder; of an unfinished run the page shows the trials so far, without outer scores.
    out : Path, optional
        In the run folder by default, where the manifest of a finished run then names the new files.
    """
    from studies.catalog.tuning_report import report_on_run

    finished = is_finished(path)
    summary = read_summary(path) if finished else None
    page = out or path / OPTUNA_FILE
    with (
        held(path) if out is None else nullcontext(),
        rewriting(path, PAGES) if finished and out is None else nullcontext(),
    ):
        views = report_on_run(path, page, summary=summary, title=_tuning_title(summary))
    return page, views


def _render(path: Path, summary: Mapping[str, Any]) -> Path:
    return _RENDERERS[summary["study"]](path, summary)


def _render_ensembles(path: Path, summary: Mapping[str, Any]) -> Path:
    from studies.catalog.tuning_report import report_on_run
    from studies.report import write_optuna_report, write_report, write_texts

    page, title = path / OPTUNA_FILE, _tuning_title(summary)
    if any(row.get("journal") for row in summary["tuning"]):
        report_on_run(path, page, summary=summary, title=title)
    else:
        write_optuna_report([], page, title=title)
    write_texts(summary, path)
    return write_report(summary, path / REPORT_FILE, image_root=path)


def _render_ablation(path: Path, summary: Mapping[str, Any]) -> Path:
    from studies.report.ablation_page import write_ablation_report

    return write_ablation_report(summary, path / REPORT_FILE)


def _render_probing(path: Path, summary: Mapping[str, Any]) -> Path:
    from studies.report.probing_page import write_probing_report

    return write_probing_report(summary, path / REPORT_FILE)


_RENDERERS: Mapping[str, Callable[[Path, Mapping[str, Any]], Path]] = {
    "ensemble_vs_llm": _render_ensembles,
    "stage_ablation": _render_ablation,
    "embedding_probe": _render_probing,
}
"""Study to what writes its pages and returns the report's path."""


def _tuning_title(summary: Mapping[str, Any] | None) -> str:
    return f"Tuning: {summary['title']}" if summary else "Tuning, so far"
