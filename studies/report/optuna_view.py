"""A tuned study as plain values: verdict, states, importance, space, trials, and the data of its figures.

Figures are plotly traces as plain dictionaries; drawing them is the page's business. Left out: studies with
several objectives.
"""

import html
import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from studies.report.format import number, plain
from studies.report.geometry import Axis

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

MOST_TRIALS = 200
"""Rows of the trial table; the journal has all of them."""
MOST_SLICES = 3
"""Parameters drawn one by one, the most important first."""
EVALUATOR = "PED-ANOVA"


def study_view(study: "Study", *, label: str) -> dict[str, Any]:
    """Everything that the page shows of one study.

    Parameters
    ----------
    study : optuna.Study
        With one objective. It may have no completed trial.
    label : str
        What the page calls the tuned method.

    Returns
    -------
    dict
        ``best``, ``default`` and ``importance`` are None where trials do not carry them.
    """
    from optuna.trial import TrialState

    trials = study.trials
    maximise = study.direction.name == "MAXIMIZE"
    done = [
        t for t in trials if t.state == TrialState.COMPLETE and t.value is not None and math.isfinite(t.value)
    ]
    ranked = sorted(done, key=lambda t: (-_value(t) if maximise else _value(t), t.number))
    best = ranked[0] if ranked else None
    default = next((t for t in done if t.number == 0 and t.system_attrs.get("fixed_params")), None)
    importance = _importance(study, done)
    space = _space(trials)
    gain = abs(_value(default) - _value(best)) if best and default else None
    metric = (study.metric_names or [study.user_attrs.get("metric", "objective")])[0]
    return {
        "label": label,
        "study_name": study.study_name,
        "metric": str(metric),
        "direction": "higher is better" if maximise else "lower is better",
        "n_trials": len(trials),
        "n_complete": len(done),
        "best": {"number": best.number, "value": best.value} if best else None,
        "default": {"value": default.value} if default else None,
        "gain": gain,
        "seconds": sum(_seconds(t) or 0.0 for t in trials),
        "states": _states(trials),
        "importance": importance,
        "evaluator": EVALUATOR,
        "space": [
            {
                "name": name,
                "allowed": _allowed(distribution),
                "default": plain(default.params.get(name)) if default else None,
                "best": plain(best.params.get(name)) if best else None,
            }
            for name, distribution in space.items()
        ],
        "parameters": list(space),
        "trials": [
            _row(trial, list(space))
            for trial in (ranked + [t for t in trials if t not in done])[:MOST_TRIALS]
        ],
        "n_more": max(0, len(trials) - MOST_TRIALS),
        "settings": [(key, plain(value)) for key, value in sorted(study.user_attrs.items())],
        "history": history_figure(trials, done, maximise=maximise, metric=str(metric)) if done else None,
        "slices": [
            slice_figure(name, space[name], done, metric=str(metric))
            for name in ([row["name"] for row in importance] if importance else list(space))[:MOST_SLICES]
        ]
        if len(done) > 1
        else [],
    }


def history_figure(
    trials: "Sequence[FrozenTrial]", done: "Sequence[FrozenTrial]", *, maximise: bool, metric: str
) -> dict[str, Any]:
    """Objective of every trial in order, the best so far, and where pruned trials stopped."""
    in_order = sorted(done, key=lambda t: t.number)
    so_far: list[float] = []
    for trial in in_order:
        better = max if maximise else min
        so_far.append(better(so_far[-1], _value(trial)) if so_far else _value(trial))
    stopped = [t for t in trials if t.state.name == "PRUNED" and _last(t) is not None]
    numbers = [t.number for t in in_order]
    traces: list[dict[str, Any]] = [
        _dots("completed", numbers, [_value(t) for t in in_order], [_hover(t) for t in in_order]),
        {
            "type": "scatter",
            "mode": "lines",
            "name": "best so far",
            "x": numbers,
            "y": so_far,
            "line": {"shape": "hv", "width": 2},
            "meta": "stack",
            "hoverinfo": "skip",
        },
    ]
    if stopped:
        pruned = _dots(
            "pruned", [t.number for t in stopped], [_last(t) for t in stopped], [_hover(t) for t in stopped]
        )
        pruned["marker"] = {"size": 7, "symbol": "circle-open"}
        traces.append({**pruned, "meta": "baseline"})
    return {
        "data": traces,
        "layout": {"xaxis": {"title": {"text": "trial"}}, "yaxis": {"title": {"text": metric}}},
    }


def slice_figure(
    name: str, distribution: "BaseDistribution", done: "Sequence[FrozenTrial]", *, metric: str
) -> dict[str, Any]:
    """Objective against one parameter; later trials are darker."""
    tried = [t for t in done if name in t.params]
    categorical = not hasattr(distribution, "low")
    xs = [html.escape(str(t.params[name])) if categorical else t.params[name] for t in tried]
    trace = _dots(name, xs, [_value(t) for t in tried], [_hover(t) for t in tried])
    last = max((t.number for t in tried), default=0) or 1
    trace["marker"] = {"size": 7, "opacity": [round(0.25 + 0.75 * t.number / last, 3) for t in tried]}
    axis: dict[str, Any] = {"title": {"text": html.escape(name)}}
    if categorical:
        axis["type"] = "category"
    elif getattr(distribution, "log", False):
        axis |= {"type": "log", "dtick": "D2"}
    return {
        "data": [{**trace, "showlegend": False}],
        "layout": {"xaxis": axis, "yaxis": {"title": {"text": metric}}},
    }


def _dots(name: str, xs: Sequence[Any], ys: Sequence[Any], hover: Sequence[str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": list(xs),
        "y": list(ys),
        "text": list(hover),
        "hoverinfo": "text",
        "marker": {"size": 7},
        "meta": "ladder",
    }


def _importance(study: "Study", done: "Sequence[FrozenTrial]") -> list[dict[str, Any]] | None:
    """Return the importance of each parameter, or None where trials cannot tell: too few, or all alike."""
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    if len({t.value for t in done}) < 2 or not set.intersection(*(set(t.params) for t in done)):
        return None
    found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    axis = Axis(start=0.0, stop=1.0)
    return [{"name": name, "value": share, "width": axis.position(share)} for name, share in found.items()]


def _space(trials: "Sequence[FrozenTrial]") -> "dict[str, BaseDistribution]":
    """Distributions of all parameters that any trial drew, in order of appearance."""
    return {name: found for trial in trials for name, found in trial.distributions.items()}


def _states(trials: "Sequence[FrozenTrial]") -> list[dict[str, Any]]:
    counts = Counter(trial.state.name.lower() for trial in trials)
    spent = {
        state: sum(_seconds(t) or 0.0 for t in trials if t.state.name.lower() == state) for state in counts
    }
    return [{"state": state, "n": n, "seconds": spent[state]} for state, n in counts.most_common()]


def _row(trial: "FrozenTrial", parameters: Sequence[str]) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "value": trial.value if trial.value is not None and math.isfinite(trial.value) else _last(trial),
        "seconds": _seconds(trial),
        "parameters": [plain(trial.params[name]) if name in trial.params else "" for name in parameters],
    }


def _allowed(distribution: "BaseDistribution") -> str:
    choices = getattr(distribution, "choices", None)
    if choices is not None:
        return plain(list(choices))
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    step = getattr(distribution, "step", None)
    scale = ", log scale" if getattr(distribution, "log", False) else ""
    stepped = f", step {plain(step)}" if step not in (None, 1) else ""
    return f"{plain(low)} to {plain(high)}{scale}{stepped}"


def _hover(trial: "FrozenTrial") -> str:
    value = trial.value if trial.value is not None else _last(trial)
    lines = [f"trial {trial.number}, {trial.state.name.lower()}: {number(value, 4)}"]
    lines += [f"{name} = {plain(value)}" for name, value in trial.params.items()]
    return "<br>".join(html.escape(line) for line in lines)


def _last(trial: "FrozenTrial") -> float | None:
    """Last score that a trial reported before it ended."""
    reported = trial.intermediate_values
    value = reported[max(reported)] if reported else None
    return value if value is not None and math.isfinite(value) else None


def _seconds(trial: "FrozenTrial") -> float | None:
    return trial.duration.total_seconds() if trial.duration is not None else None


def _value(trial: "FrozenTrial") -> float:
    assert trial.value is not None
    return trial.value
