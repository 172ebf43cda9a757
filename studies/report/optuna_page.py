"""Optuna journals to one interactive page that needs no network: plotly's library is in it once [edge].

The page is about 5 MB, nearly all of it that library: hence a page of its own. Left out: comparison with
random search at equal budget.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from llava_core.errors import InputError
from studies.report.html import template_environment, write_page
from studies.report.optuna_view import study_view

if TYPE_CHECKING:
    from optuna import Study


def write_optuna_report(
    journals: Mapping[str, Path],
    out: Path,
    *,
    labels: Mapping[str, str] | None = None,
    title: str = "Tuning",
) -> Path:
    """Write the page about all tuned methods of a run.

    Parameters
    ----------
    journals : Mapping of str to Path
        Method name to the file of its Optuna journal. A journal with several studies gives one section each.
    out : Path
        File to write, replaced as a whole.
    labels : Mapping of str to str, optional
        What the page calls the methods.
    title : str
        Head line of the page.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    InputError
        If a journal does not exist, cannot be read, holds no study, or holds one with several objectives.
    """
    import optuna
    import plotly
    from plotly.offline import get_plotlyjs

    views = []
    for method, path in journals.items():
        studies = read_studies(path)
        for study in studies:
            label = (labels or {}).get(method, method)
            views.append(
                study_view(study, label=label if len(studies) == 1 else f"{label}: {study.study_name}")
            )
    page = (
        template_environment()
        .get_template("optuna.html")
        .render(
            title=title,
            studies=views,
            versions=[("Optuna", optuna.__version__), ("plotly", plotly.__version__)],
            plotly_js=Markup(get_plotlyjs()),
        )
    )
    return write_page(page, out)


def read_studies(path: Path) -> "list[Study]":
    """Load every study of a journal file, in order of name; the file is not changed."""
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    if not path.is_file():
        # Optuna would create it.
        raise InputError("no such file, allowed is an Optuna journal", path=path)
    try:
        storage = JournalStorage(JournalFileBackend(str(path)))
        names = optuna.get_all_study_names(storage)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"not an Optuna journal: {error}", path=path) from error
    if not names:
        raise InputError("holds no study, allowed is an Optuna journal with at least one", path=path)
    studies = [optuna.load_study(study_name=name, storage=storage) for name in sorted(names)]
    for study in studies:
        if len(study.directions) != 1:
            raise InputError(
                f"study has {len(study.directions)} objectives, allowed is 1",
                path=path,
                record=study.study_name,
            )
    return studies
