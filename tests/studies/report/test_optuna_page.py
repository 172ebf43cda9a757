import json
import re

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from llava_core.errors import InputError
from studies.report import studies_of, write_optuna_report
from studies.report.optuna_page import read_studies
from studies.report.optuna_view import MOST_TRIALS, TunedStudy
from studies.report.optuna_view import study_view as view_of
from tests.studies.report.made_study import DEFAULTS, make_study


def study_view(study, *, label):
    return view_of(TunedStudy(study=study, label=label))


def write_page(journals, out, *, labels=()):
    """Page about journals by method; its path."""
    named = dict(labels)
    tuned = [
        one for method, path in journals.items() for one in studies_of(path, label=named.get(method, method))
    ]
    write_optuna_report(tuned, out)
    return out


@pytest.fixture(autouse=True)
def _quiet():
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


@pytest.fixture
def journal(tmp_path):
    make_study(tmp_path / "xgboost.log")
    return tmp_path / "xgboost.log"


def test_view_agrees_with_the_trials(journal):
    (study,) = read_studies(journal)
    view = study_view(study, label="XGBoost")
    values = {t.number: t.value for t in study.trials if t.state.name == "COMPLETE"}
    best = min(values, key=values.get)
    assert view["best"] == {"number": best, "value": values[best], "standard_error": None}
    assert view["default"] == {"value": values[0]}
    assert view["gain"] == pytest.approx(values[0] - values[best])
    assert (view["metric"], view["n_trials"], view["n_complete"]) == ("log-loss", 24, len(values))
    assert sum(row["ped_anova"] for row in view["importance"]) == pytest.approx(1)
    assert {row["state"]: row["n"] for row in view["states"]} == {
        "complete": len(values),
        "pruned": 5,
        "fail": 1,
    }
    assert sum(row["fanova"] for row in view["importance"]) == pytest.approx(1)
    assert {row["name"] for row in view["importance"]} == set(DEFAULTS)
    assert view["space"][0] == {
        "name": "learning_rate",
        "allowed": "0.001 to 0.5, log scale",
        "default": "0.3",
        "best": f"{study.trials[best].params['learning_rate']:.6g}",
    }
    shown = [row["value"] for row in view["trials"] if row["state"] == "complete"]
    assert shown == sorted(values.values())


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_history_shows_the_best_so_far(tmp_path, direction):
    study = make_study(tmp_path / "j.log", direction=direction)
    view = study_view(study, label="XGBoost")
    completed, best, pruned = view["figures"]["history"]["data"]
    better = min if direction == "minimize" else max
    assert best["y"] == [better(completed["y"][: i + 1]) for i in range(len(completed["y"]))]
    assert best["y"][-1] == view["best"]["value"]
    assert pruned["x"] == [t.number for t in study.trials if t.state.name == "PRUNED"]


def test_slices_follow_importance_and_scale(journal):
    (study,) = read_studies(journal)
    view = study_view(study, label="XGBoost")
    names = [figure["layout"]["xaxis"]["title"]["text"] for figure in view["figures"]["slices"]]
    assert names == [row["name"] for row in view["importance"]]
    by_name = dict(zip(names, view["figures"]["slices"], strict=True))
    assert by_name["learning_rate"]["layout"]["xaxis"]["type"] == "log"
    assert by_name["growth"]["layout"]["xaxis"]["type"] == "category"
    assert len(by_name["max_depth"]["data"][0]["x"]) == view["n_complete"]


@pytest.mark.parametrize("n_trials", [0, 1, 2])
def test_few_trials_are_enough(tmp_path, n_trials):
    make_study(tmp_path / "j.log", n_trials=n_trials)
    text = write_page({"xgboost": tmp_path / "j.log"}, tmp_path / "o.html").read_text(encoding="utf-8")
    if n_trials == 0:
        assert "No trial was completed (1 begun or waiting)" in text
    if n_trials < 2:
        assert "Needs at least two completed trials" in text


def test_no_default_trial_is_said(tmp_path):
    study = make_study(tmp_path / "j.log", defaults=False)
    assert study_view(study, label="x")["default"] is None
    text = write_page({"x": tmp_path / "j.log"}, tmp_path / "o.html").read_text(encoding="utf-8")
    assert "The default parameters were not among the trials" in text


def test_long_studies_are_cut_and_counted(tmp_path):
    study = optuna.create_study(storage=JournalStorage(JournalFileBackend(str(tmp_path / "j.log"))))
    for index in range(MOST_TRIALS + 7):
        study.add_trial(optuna.trial.create_trial(value=float(index)))
    view = study_view(study, label="x")
    assert len(view["trials"]) == MOST_TRIALS + 7
    text = write_page({"x": tmp_path / "j.log"}, tmp_path / "o.html").read_text(encoding="utf-8")
    assert "7 more in <code>o.csv</code>" in text
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 1 + MOST_TRIALS + 7


def test_page_holds_the_library_once_and_escapes_the_rest(journal, tmp_path):
    make_study(tmp_path / "forest.log", name="</script><script>alert(1)</script>", seed=1)
    before = journal.read_bytes()
    page = write_page(
        {"xgboost": journal, "random_forest": tmp_path / "forest.log"},
        tmp_path / "optuna.html",
        labels={"xgboost": "XGBoost & co"},
    )
    assert journal.read_bytes() == before
    text = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 6_000_000
    assert text.count("plotly.js v") == 1
    ours = re.sub(r"<script>/\*\*.*?</script>", "", text, flags=re.DOTALL)
    assert len(ours) < 200_000
    assert "alert(1)</script>" not in ours
    assert "<b>loss" not in ours
    assert "XGBoost &amp; co" in ours
    assert not re.search(r"(?:src|href)=\"(?!#|data:,)", ours)
    figures = re.findall(r'<script type="application/json">(.*?)</script>', ours, flags=re.DOTALL)
    # Per study: history, three slices, three pairs, cost.
    assert len(figures) == 16
    assert all(json.loads(figure)["data"] for figure in figures)


def test_a_journal_with_two_studies_gives_two_sections(tmp_path):
    for name in ("one", "two"):
        make_study(tmp_path / "j.log", name=name, n_trials=3)
    text = write_page({"xgboost": tmp_path / "j.log"}, tmp_path / "o.html").read_text(encoding="utf-8")
    assert "<h2>xgboost: one</h2>" in text
    assert "<h2>xgboost: two</h2>" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), ("", "holds no study"), ("not json\n{}\n", "not an Optuna journal")],
)
def test_bad_journals_are_named(tmp_path, content, message):
    path = tmp_path / "j.log"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        write_page({"x": path}, tmp_path / "o.html")
    assert caught.value.path == path
    assert path.exists() == (content is not None)
    assert not (tmp_path / "o.html").exists()


def test_several_objectives_are_refused(tmp_path):
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "j.log")))
    optuna.create_study(storage=storage, directions=["minimize", "minimize"])
    with pytest.raises(InputError, match="2 objectives, allowed is 1"):
        write_page({"x": tmp_path / "j.log"}, tmp_path / "o.html")
