"""What a study tells beyond its best trial, on trials that are made by hand."""

import io
import math

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial
from rich.console import Console

from studies.report import optuna_blocks as blocks
from studies.report.optuna_figures import contour_figures
from studies.report.optuna_table import tuning_table
from studies.report.optuna_view import TunedStudy, study_view

SPACE = {
    "rate": FloatDistribution(0.001, 1.0, log=True),
    "depth": IntDistribution(1, 21),
    "kind": CategoricalDistribution(["a", "b"]),
    "fixed": IntDistribution(3, 3),
}


def made(value, *, rate=0.1, depth=10, state=TrialState.COMPLETE, steps=3, fit_s=1.0, error=0.05, **attrs):
    return create_trial(
        value=value if state == TrialState.COMPLETE else None,
        state=state,
        params={"rate": rate, "depth": depth, "kind": "a", "fixed": 3},
        distributions=SPACE,
        intermediate_values=dict.fromkeys(range(steps), 1.0),
        user_attrs={
            "fit_s": fit_s,
            **({} if error is None else {"standard_error": error}),
            **attrs,
        },
    )


def study_of(*trials, direction="minimize"):
    study = optuna.create_study(direction=direction)
    study.add_trials(list(trials))
    return study


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_gain_ends_where_the_rest_is_less_than_the_noise(direction):
    values = [1.0, 0.6, 0.54, 0.52, 0.5, 0.7]
    sign = 1 if direction == "minimize" else -1
    study = study_of(*(made(sign * v) for v in values), direction=direction)
    ranked = blocks.completed(study)
    assert [t.number for t in ranked] == [4, 3, 2, 1, 5, 0]
    assert blocks.settled_at(study, ranked, 0.05) == 2
    assert blocks.settled_at(study, ranked, 0.2) == 1
    assert blocks.settled_at(study, ranked, 0.0) == 4
    assert blocks.settled_at(study, ranked, None) is None


def test_trials_as_good_are_told_and_the_simplest_marked():
    study = study_of(*(made(v, depth=d) for v, d in ((0.5, 9), (0.53, 4), (0.55, 2), (0.56, 1))))
    top = blocks.best_trials(study, blocks.completed(study), 0.05, lambda params: params["depth"])
    assert (top["n_within"], top["simplest"]) == (3, 2)
    assert [row["within"] for row in top["rows"]] == [True, True, True, False]
    assert [row["errors"] for row in top["rows"]] == pytest.approx([0.0, 0.6, 1.0, 1.2])
    without = blocks.best_trials(study, blocks.completed(study), None)
    assert (without["n_within"], without["simplest"]) == (None, None)


def test_the_simplest_is_listed_even_where_ten_are_better():
    study = study_of(*(made(0.5 + i / 1000, depth=20 - i) for i in range(14)))
    top = blocks.best_trials(study, blocks.completed(study), 0.05, lambda params: params["depth"])
    assert [row["number"] for row in top["rows"]] == [*range(10), 13]


def test_a_standard_error_is_told_or_comes_from_the_folds():
    assert blocks.standard_error(made(1.0, error=0.07)) == 0.07
    assert blocks.standard_error(made(1.0, error=None)) is None
    trial = made(1.0, error=None)
    trial.system_attrs = {blocks.CROSS_VALIDATION_SCORES: [1.0, 2.0, 3.0, 6.0]}
    assert blocks.standard_error(trial) == pytest.approx(math.sqrt((4 + 1 + 0 + 9) / 3 / 4))


def test_edges_are_those_of_the_scale_and_tell_who_shares_them():
    best = made(0.5, rate=0.0012, depth=21)
    others = [made(0.5, rate=0.0011), made(0.5, depth=21), made(0.5, depth=1)]
    found = blocks.edges(best, [best, *others])
    assert [(e["name"], e["side"], e["n_sharing"], e["n_others"]) for e in found] == [
        ("rate", "low", 1, 3),
        ("depth", "high", 1, 3),
    ]
    # On a linear scale 0.06 would be at the edge too.
    assert blocks.edges(made(0.5, rate=0.03), []) == []


def test_what_pruning_saved_is_the_steps_that_were_not_taken_at_their_own_pace():
    trials = [
        made(0.5, steps=4, fit_s=8.0),
        made(0, state=TrialState.PRUNED, steps=1, fit_s=3.0),
        made(0, state=TrialState.PRUNED, steps=2, fit_s=2.0),
        made(0, state=TrialState.FAIL, steps=0, fit_s=1.0),
    ]
    saved = blocks.saved_by_pruning(trials)
    assert (saved["n_trials"], saved["n_steps"]) == (2, 3 + 2)
    assert saved["seconds"] == pytest.approx(3 * 3.0 + 2 * 1.0)
    assert saved["share"] == pytest.approx(11 / (14 + 11))
    assert blocks.saved_by_pruning(trials[:1]) is None
    states = {row["state"]: (row["n"], row["seconds"], row["each"]) for row in blocks.states(trials)}
    assert states == {"pruned": (2, 5.0, 2.5), "complete": (1, 8.0, 8.0), "fail": (1, 1.0, 1.0)}


def test_pruned_trials_without_steps_save_nobody_knows_what():
    saved = blocks.saved_by_pruning([made(0.5), made(0, state=TrialState.PRUNED, steps=0)])
    assert (saved["n_trials"], saved["seconds"]) == (1, None)


def test_the_front_is_what_no_other_trial_beats_in_both():
    points = [(0.5, 9.0), (0.6, 3.0), (0.7, 4.0), (0.8, 1.0), (0.55, 9.5), (0.9, 1.0)]
    study = study_of(*(made(value, fit_s=cost) for value, cost in points))
    front = {row["number"] for row in blocks.cheapest_front(study, blocks.completed(study))}
    beaten = {
        i for i, (v, c) in enumerate(points) if any(w <= v and d <= c and (w, d) != (v, c) for w, d in points)
    }
    assert front == set(range(len(points))) - beaten


def test_both_evaluators_find_the_parameter_that_matters():
    trials = [
        made((depth - 7) ** 2, rate=0.001 * 1.1**i, depth=depth)
        for i, depth in enumerate([*range(1, 21)] * 2)
    ]
    study = study_of(*trials)
    first = blocks.importances(study, blocks.completed(study))[0]
    assert (first["name"], first["ped_rank"], first["fanova_rank"]) == ("depth", 1, 1)
    assert blocks.importances(study_of(made(1.0), made(1.0)), [made(1.0), made(1.0)]) is None


def test_the_surface_is_linear_between_trials():
    corners = [(d, r) for d in (1, 11, 21) for r in (0.001, 0.03162278, 1.0)]
    done = [made(d + math.log10(r), rate=r, depth=d) for d, r in corners]
    (figure,) = contour_figures(["depth", "rate"], SPACE, done, maximise=False, metric="m")
    surface = figure["data"][0]
    assert surface["type"] == "contour"
    assert figure["layout"]["yaxis"]["type"] == "log"
    for row, rate in zip(surface["z"], surface["y"], strict=True):
        expected = [depth + math.log10(rate) for depth in surface["x"]]
        assert row == pytest.approx(expected, abs=2e-3)
    (points,) = contour_figures(["depth", "kind"], SPACE, done, maximise=False, metric="m")
    assert [trace["type"] for trace in points["data"]] == ["scatter"]


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high, "level": 0.95, "n": 40}


@pytest.fixture
def compared():
    trials = [made(0.6), made(0.5, rate=0.2), made(0, state=TrialState.PRUNED, steps=1)]
    rival = {"trial": 0, "value": 0.6, "difference": estimate(-0.1, -0.2, -0.05)}
    return TunedStudy(
        study=study_of(*trials),
        label="A method whose name is far too long for it",
        outer=estimate(0.57, 0.5, 0.6),
        comparison={
            "n_questions": 40,
            "n_families": 20,
            "chosen": estimate(0.5, 0.4, 0.6),
            "rechosen": estimate(0.53, 0.4, 0.7),
            "default": {**rival, "rechosen": estimate(-0.08, -0.15, -0.01)},
            "random": {
                **rival,
                "rechosen": estimate(0.01, -0.1, 0.1),
                "n_trials": 3,
                "n_pruned": 0,
                "n_shared": 2,
                "fit_s": 3.0,
            },
        },
    )


def test_the_verdict_speaks_of_the_choice_made_anew(compared):
    view = study_view(compared)
    told = " ".join(view["verdict"])
    assert "Against the default parameters tuning lowers the loss: \u22120.0800" in told
    assert "Against a random search of as many trials (3) no difference is shown: +0.0100" in told
    assert "40 questions of 20 families" in told
    assert view["bias"]["optimism"] == pytest.approx(0.03)
    assert view["bias"]["gap"] == pytest.approx(0.07)


def test_what_was_not_compared_is_not_told(compared):
    told = study_view(TunedStudy(study=compared.study, label="x", compare="studies optuna r --random"))
    assert (
        "Random search at equal budget is not measured; it would be by: studies optuna r --random."
        in (told["verdict"])
    )
    assert told["bias"] is None
    assert told["comparison"] is None


def test_the_table_fits_eighty_columns(compared):
    console = Console(width=80, record=True, file=io.StringIO())
    view = study_view(compared)
    console.print(
        tuning_table([view, {**view, "comparison": None, "bias": None, "best": None, "saved": None}])
    )
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    head, first, second = lines[:3]
    assert head.split() == [
        "method", "trials", "inner", "outer", "gap", "default", "random", "saved", "edge",
    ]  # fmt: skip
    assert first.split()[-8:] == ["3", "0.500", "0.570", "+0.070", "\u22120.080*", "+0.010", "~2.0s", "0"]
    console.print(tuning_table([{**view, "label": "a[/b] \x1b[2J"}]))
    assert console.export_text().splitlines()[1].startswith("a[/b] ?[2J")
    assert second.split()[-7:] == ["\u2013", "\u2013", "\u2013", "\u2013", "\u2013", "0", "0"]
