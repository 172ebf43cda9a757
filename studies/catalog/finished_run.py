"""A finished run as comparisons read it: summary, specification, predictions and questions [edge].

What a comparison looks up is checked when the run is read, so that a summary that was changed by hand is told
in one line, with its field.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from llava_core.data.json_file import read_json_object
from llava_core.errors import InputError, shown
from studies.catalog.outputs import PREDICTIONS_FILE, QUESTIONS_FILE, SUMMARY_FILE, read_summary
from studies.catalog.questions import read_questions
from studies.catalog.scoring import question_scores
from studies.predictions import read_predictions
from studies.rundir import SPEC_FILE
from studies.verified import checked


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class FinishedRun:
    """A run as comparisons read it."""

    name: str
    path: Path
    summary: Mapping[str, Any]
    spec: Mapping[str, Any]
    predictions: pd.DataFrame
    questions: pd.DataFrame | None
    """None where a run of an earlier version has none."""

    @property
    def methods(self) -> dict[str, Mapping[str, Any]]:
        """Methods by name."""
        return {method["name"]: method for method in self.summary["methods"]}

    @property
    def fingerprint(self) -> str:
        """Of the data."""
        return str(self.summary["data"]["fingerprint"])

    def credit(self, method: str, ids: Sequence[str]) -> NDArray[np.float64]:
        """Return the credit of a method on some questions, its mean over the seeds of the run.

        Raises
        ------
        InputError
            If the predictions are not those of the questions.
        """
        rows = self.predictions[self.predictions["method"] == method]
        try:
            each = [question_scores(of_seed, ids).credit for _, of_seed in rows.groupby("seed")]
            if not each:
                raise ValueError("which has no answers")
        except ValueError as error:
            told = f"does not fit {QUESTIONS_FILE}: method {method}, {error}"
            raise InputError(told, path=self.path / PREDICTIONS_FILE) from None
        return np.asarray(np.mean(each, axis=0))


def read_finished(path: Path, name: str) -> FinishedRun:
    """Read a finished run.

    Raises
    ------
    InputError
        If the folder holds none that scored methods, or a file of it is broken.
    """
    summary = read_summary(path)
    if not summary.get("methods") or not summary.get("data"):
        raise InputError(f"holds a run of {shown(summary.get('study'))}, which scores no methods", path=path)
    _check_summary(summary, path / SUMMARY_FILE)
    spec = checked(path, SPEC_FILE, PREDICTIONS_FILE)
    if (path / QUESTIONS_FILE).exists():
        checked(path, QUESTIONS_FILE)
    return FinishedRun(
        name=name,
        path=path,
        summary=summary,
        spec=read_json_object(spec),
        predictions=read_predictions(path / PREDICTIONS_FILE),
        questions=read_questions(path / QUESTIONS_FILE),
    )


def _check_summary(summary: Mapping[str, Any], file: Path) -> None:
    """Raise unless what a comparison looks up is there, each of its type."""
    wanted: dict[str, Callable[[Any], bool]] = {
        "study": lambda told: isinstance(told, str),
        "verdict": lambda told: isinstance(told, dict) and isinstance(told.get("sentence"), str),
        "data": lambda told: isinstance(told, dict) and {"name", "fingerprint"} <= told.keys(),
        "provenance": lambda told: isinstance(told, dict) and isinstance(told.get("seed"), int | None),
        "choice": lambda told: told is None or isinstance(told, dict),
        "methods": lambda told: isinstance(told, list) and all(_is_method(each) for each in told),
    }
    for field, is_whole in wanted.items():
        if not is_whole(summary.get(field)):
            raise InputError(
                f"got {shown(summary.get(field))}, which no run of ours writes", path=file, field=field
            )


def _is_method(told: Any) -> bool:
    texts = ("name", "label", "kind")
    return (
        isinstance(told, dict)
        and all(isinstance(told.get(name), str) for name in texts)
        and _is_estimate(told.get("accuracy"))
        and _is_estimate(told.get("log_loss"))
    )


def _is_estimate(told: Any) -> bool:
    numbers = ("value", "low", "high")
    return told is None or (
        isinstance(told, dict) and all(isinstance(told.get(name), int | float) for name in numbers)
    )
