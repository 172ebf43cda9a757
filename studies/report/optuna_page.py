"""Tuned studies to one interactive page that needs no network, and their trials as CSV and JSON [edge].

plotly's library is in the page once, which makes nearly all of its 5 MB: hence a page of its own.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_core.errors import InputError
from llava_core.keys import without_secrets
from studies.report.html import template_environment, write_page
from studies.report.optuna_view import MOST_TRIALS, TunedStudy, study_view

if TYPE_CHECKING:
    from optuna import Study

MOST_EMBEDDED = 2000
"""Trials that the page hands out as CSV and JSON by itself; the files beside it have all."""
TRIAL_COLUMNS = ("number", "state", "value", "standard_error", "seconds", "why")
DRAWN = ("figures", "rivals")
"""Parts of a view that only say where marks are."""
View = dict[str, Any]


def write_optuna_report(
    tuned: Sequence[TunedStudy], out: Path, *, title: str = "Tuning", source: str = ""
) -> list[View]:
    """Write the page about tuned studies, and beside it their trials as CSV and all numbers as JSON.

    Parameters
    ----------
    tuned : sequence of TunedStudy
    out : Path
        Page to write, replaced as a whole; the other two have its name.
    title : str
        Head line of the page.
    source : str
        What was read, for the page.

    Returns
    -------
    list of dict
        `studies.report.optuna_view.study_view` of each.
    """
    import optuna
    import plotly
    from plotly.offline import get_plotlyjs

    views = [study_view(one) for one in tuned]
    versions = [("Optuna", optuna.__version__), ("plotly", plotly.__version__)]
    csv_file, json_file = files_beside(out)
    page = (
        template_environment()
        .get_template("optuna.html")
        .render(
            title=title,
            source=source,
            studies=[
                {**view, "embedded": _embedded(view), "n_more": max(0, len(view["trials"]) - MOST_TRIALS)}
                for view in views
            ],
            metric=_shared_metric(views),
            most_trials=MOST_TRIALS,
            versions=versions,
            files=[csv_file.name, json_file.name],
            plotly_js=get_plotlyjs(),
        )
    )
    numbers = [{key: value for key, value in view.items() if key not in DRAWN} for view in views]
    write_page(_trials_csv(views), csv_file)
    write_page(
        json.dumps({"title": title, "versions": dict(versions), "studies": numbers}, indent=1, default=str)
        + "\n",
        json_file,
    )
    write_page(page, out)
    return views


def files_beside(out: Path) -> dict[Path, bytes]:
    """Return the CSV and the JSON beside a page, and how each begins, as a regular expression."""
    head = ",".join(("study", *TRIAL_COLUMNS)).encode()
    return {
        out.with_suffix(".csv"): head,
        out.with_suffix(".json"): rb'\{\s*"title": "(?:[^"\\]|\\.)*",\s*"versions": \{\s*"Optuna": ',
    }


def read_studies(source: Path | str) -> "list[Study]":
    """Load every study of a journal file or of a database, in order of name; nothing is changed in it.

    Parameters
    ----------
    source : Path or str
        Journal file, SQLite file, or URL of a database.

    Raises
    ------
    InputError
        If it does not exist, cannot be read, holds no study, or holds one with several objectives.
    """
    import optuna

    place = Path(source) if "://" not in str(source) else None
    names, storage = _opened(str(source) if place is None else place)
    if not names:
        shown = "" if place else f"{without_secrets(str(source))} "
        raise InputError(f"{shown}holds no study, allowed is an Optuna journal or database", path=place)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in sorted(names)]
    for study in studies:
        if len(study.directions) != 1:
            raise InputError(
                f"study has {len(study.directions)} objectives, allowed is 1",
                path=place,
                record=study.study_name,
            )
        for trial in study.get_trials(deepcopy=False):
            scores = list(trial.values or ())
            told = [*scores, *trial.intermediate_values.values()]
            drawn = [
                trial.params[name] for name, space in trial.distributions.items() if hasattr(space, "low")
            ]
            if not all(isinstance(value, int | float) for value in drawn):
                raise InputError(
                    f"trial {trial.number} has a parameter that is no number, though its range is of numbers",
                    path=place,
                    record=study.study_name,
                )
            is_whole = trial.state.name != "COMPLETE" or len(scores) == 1
            if not is_whole or not all(isinstance(value, int | float) for value in told):
                raise InputError(
                    f"trial {trial.number} has no score, several, or one that is no number",
                    path=place,
                    record=study.study_name,
                )
    return studies


def studies_of(source: Path | str, *, label: str | None = None, **told: Any) -> list[TunedStudy]:
    """Return the studies of a journal or database as `TunedStudy`, with what is told of each.

    Parameters
    ----------
    source : Path or str
        Of `read_studies`.
    label : str, optional
        What the page calls the tuned method; a study's own name where there is none, or several studies.
    **told
        Further fields of `TunedStudy`.
    """
    studies = read_studies(source)
    return [
        TunedStudy(study=study, label=_label(label, study.study_name, alone=len(studies) == 1), **told)
        for study in studies
    ]


def _shared_metric(views: Sequence[Mapping[str, Any]]) -> str | None:
    """Return what all studies measure, in words; None where they differ."""
    told = {f"{view['metric']}, {view['direction']}" for view in views}
    return told.pop() if len(told) == 1 else None


def _label(label: str | None, name: str, *, alone: bool) -> str:
    if label is None:
        return name
    return label if alone else f"{label}: {name}"


def _opened(source: Path | str) -> tuple[list[str], Any]:
    import optuna
    from sqlalchemy.exc import SQLAlchemyError

    from ensembles.search import open_storage

    place = source if isinstance(source, Path) else None
    if place is not None and not place.is_file():
        # Optuna would create it.
        raise InputError("no such file, allowed is an Optuna journal, SQLite file or URL", path=place)
    if isinstance(source, str) and source.startswith("sqlite:///"):
        place = Path(source.removeprefix("sqlite:///"))
        if not place.is_file():
            raise InputError("no such file, allowed is an Optuna journal, SQLite file or URL", path=place)
    elif place is not None and _is_sqlite(place):
        source = f"sqlite:///{place}"
    kind = "a database that Optuna can read" if isinstance(source, str) else "an Optuna journal"
    try:
        storage = open_storage(source)
        return optuna.get_all_study_names(storage), storage
    except ModuleNotFoundError as error:
        shown = without_secrets(str(source))
        raise InputError(f"{shown}: the driver {error.name} is not installed") from None
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, RuntimeError,
        SQLAlchemyError,
    ) as error:  # fmt: skip
        told = f"not {kind}: {without_secrets(str(error))}"
        raise InputError(
            told if place else f"{without_secrets(str(source))} is {told}", path=place
        ) from error


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"


def _trials_csv(views: Sequence[Mapping[str, Any]]) -> str:
    """Return one row per trial of all studies, a column for every parameter that any of them has."""
    names = list(dict.fromkeys(name for view in views for name in view["parameters"]))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["study", *TRIAL_COLUMNS, *(f"params_{name}" for name in names)])
    for view in views:
        for trial in view["trials"]:
            params = trial["params"]
            writer.writerow(
                [view["label"], *(trial[c] for c in TRIAL_COLUMNS), *(params.get(name, "") for name in names)]
            )
    return text.getvalue()


def _embedded(view: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": view["label"],
        "columns": list(TRIAL_COLUMNS),
        "parameters": view["parameters"],
        "trials": view["trials"][:MOST_EMBEDDED],
    }
