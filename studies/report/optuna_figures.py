"""The data of a tuned study's figures, as plotly traces in plain dictionaries; the page draws them.

``meta`` of a trace names the colour of the page that it takes. Surfaces are linear between trials and end
where trials end: nothing is fitted to them.
"""

import html
import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from studies.report.format import number, plain
from studies.report.optuna_blocks import last_score, seconds

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

GRID = 24
"""Points along each side of a surface."""
FEWEST_FOR_SURFACE = 5
Figure = dict[str, Any]


def history_figure(
    trials: "Sequence[FrozenTrial]",
    done: "Sequence[FrozenTrial]",
    *,
    maximise: bool,
    metric: str,
    settled: int | None = None,
    noise: float | None = None,
) -> Figure:
    """Objective of every trial in order, the best so far, where pruned trials stopped, and where gain ends.

    Parameters
    ----------
    trials : sequence of FrozenTrial
    done : sequence of FrozenTrial
        Complete ones.
    maximise : bool
    metric : str
    settled : int, optional
        Trial after which less than the noise was gained; gets a line.
    noise : float, optional
        Standard error of the best trial; gets a band on the bad side of the best.
    """
    in_order = sorted(done, key=lambda t: t.number)
    better = max if maximise else min
    so_far: list[float] = []
    for trial in in_order:
        so_far.append(better(so_far[-1], _value(trial)) if so_far else _value(trial))
    stopped = [t for t in trials if t.state.name == "PRUNED" and last_score(t) is not None]
    numbers = [t.number for t in in_order]
    traces: list[Figure] = [
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
            "pruned",
            [t.number for t in stopped],
            [last_score(t) for t in stopped],
            [_hover(t) for t in stopped],
        )
        pruned["marker"] = {"size": 7, "symbol": "circle-open"}
        traces.append({**pruned, "meta": "baseline"})
    shapes = []
    if settled is not None:
        shapes.append(
            {"type": "line", "x0": settled, "x1": settled, "yref": "paper", "y0": 0, "y1": 1, "name": "line"}
        )
    if noise is not None and so_far:
        edge = so_far[-1] - noise if maximise else so_far[-1] + noise
        shapes.append(
            {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": so_far[-1], "y1": edge, "name": "band"}
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": "trial"}},
            "yaxis": {"title": {"text": metric}},
            "shapes": shapes,
        },
    }


def slice_figure(
    name: str, distribution: "BaseDistribution", done: "Sequence[FrozenTrial]", *, metric: str
) -> Figure:
    """Objective against one parameter; later trials have a stronger colour."""
    tried = [t for t in done if name in t.params]
    trace = _dots(
        name, _places(name, distribution, tried), [_value(t) for t in tried], [_hover(t) for t in tried]
    )
    last = max((t.number for t in tried), default=0) or 1
    trace["marker"] = {"size": 7, "opacity": [round(0.25 + 0.75 * t.number / last, 3) for t in tried]}
    return {
        "data": [{**trace, "showlegend": False}],
        "layout": {"xaxis": _axis(name, distribution), "yaxis": {"title": {"text": metric}}},
    }


def contour_figures(
    names: Sequence[str],
    space: "dict[str, BaseDistribution]",
    done: "Sequence[FrozenTrial]",
    *,
    maximise: bool,
    metric: str,
) -> list[Figure]:
    """Objective over each pair of parameters: trials as dots, linear between them where there are enough."""
    return [
        _contour(x, y, space, tried, maximise=maximise, metric=metric)
        for x, y in combinations(names, 2)
        if (tried := [t for t in done if x in t.params and y in t.params])
    ]


def cost_figure(
    done: "Sequence[FrozenTrial]", front: Sequence[dict[str, Any]], *, metric: str
) -> Figure | None:
    """Objective against seconds, with the trials that no other beats in both; None where no cost is known."""
    timed = [t for t in done if seconds(t) is not None]
    if not timed:
        return None
    line = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "no other is better and cheaper",
        "x": [row["seconds"] for row in front],
        "y": [row["value"] for row in front],
        "line": {"shape": "hv", "width": 1.5, "dash": "dot"},
        "marker": {"size": 9},
        "meta": "stack",
        "hoverinfo": "skip",
    }
    dots = _dots(
        "trials", [seconds(t) for t in timed], [_value(t) for t in timed], [_hover(t) for t in timed]
    )
    costs = [cost for t in timed if (cost := seconds(t))]
    wide = bool(costs) and max(costs) > 10 * min(costs) and len(costs) == len(timed)
    return {
        "data": [line, dots],
        "layout": {
            "xaxis": {"title": {"text": "seconds"}, **({"type": "log", "dtick": "D2"} if wide else {})},
            "yaxis": {"title": {"text": metric}},
        },
    }


def _contour(
    x: str,
    y: str,
    space: "dict[str, BaseDistribution]",
    tried: "Sequence[FrozenTrial]",
    *,
    maximise: bool,
    metric: str,
) -> Figure:
    traces: list[Figure] = []
    surface = _surface(x, y, space, tried)
    if surface is not None:
        xs, ys, z = surface
        traces.append(
            {
                "type": "contour",
                "x": xs,
                "y": ys,
                "z": z,
                "meta": "higher" if maximise else "lower",
                "colorbar": {"thickness": 10, "title": {"text": metric, "side": "right"}},
                "hoverinfo": "skip",
                "line": {"width": 0.5},
            }
        )
    dots = _dots(
        "trials", _places(x, space[x], tried), _places(y, space[y], tried), [_hover(t) for t in tried]
    )
    traces.append({**dots, "marker": {"size": 6}, "showlegend": False, "meta": "ink"})
    return {"data": traces, "layout": {"xaxis": _axis(x, space[x]), "yaxis": _axis(y, space[y])}}


def _surface(
    x: str, y: str, space: "dict[str, BaseDistribution]", tried: "Sequence[FrozenTrial]"
) -> tuple[list[float], list[float], list[list[float | None]]] | None:
    """Return a grid over two ordered parameters, or None where there are none or too few trials."""
    from scipy.interpolate import griddata
    from scipy.spatial import QhullError

    if len(tried) < FEWEST_FOR_SURFACE or not (_is_ordered(space[x]) and _is_ordered(space[y])):
        return None
    scaled = [_scaled(name, space[name], tried) for name in (x, y)]
    if any(np.ptp(values) == 0 for values in scaled):
        return None
    # Each side on 0 to 1: triangles do not depend on units.
    unit = np.stack([(values - values.min()) / np.ptp(values) for values in scaled], axis=1)
    side = np.linspace(0, 1, GRID)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            z = griddata(unit, [_value(t) for t in tried], tuple(np.meshgrid(side, side)), method="linear")
    except QhullError:
        return None
    places = [
        _unscaled(name, space[name], v.min() + side * np.ptp(v))
        for name, v in zip((x, y), scaled, strict=True)
    ]
    rows = [[None if np.isnan(value) else float(f"{value:.5g}") for value in row] for row in z]
    return places[0], places[1], rows


def _scaled(
    name: str, distribution: "BaseDistribution", tried: "Sequence[FrozenTrial]"
) -> NDArray[np.float64]:
    values = np.array([t.params[name] for t in tried], dtype=np.float64)
    return np.log(values) if getattr(distribution, "log", False) else values


def _unscaled(name: str, distribution: "BaseDistribution", values: NDArray[np.float64]) -> list[float]:
    whole = np.exp(values) if getattr(distribution, "log", False) else values
    return [float(f"{value:.6g}") for value in whole]


def _is_ordered(distribution: "BaseDistribution") -> bool:
    return hasattr(distribution, "low")


def _places(name: str, distribution: "BaseDistribution", tried: "Sequence[FrozenTrial]") -> list[Any]:
    if _is_ordered(distribution):
        return [t.params[name] for t in tried]
    return [html.escape(str(t.params[name])) for t in tried]


def _axis(name: str, distribution: "BaseDistribution") -> Figure:
    axis: Figure = {"title": {"text": html.escape(name)}}
    if not _is_ordered(distribution):
        axis["type"] = "category"
    elif getattr(distribution, "log", False):
        axis |= {"type": "log", "dtick": "D2"}
    return axis


def _dots(name: str, xs: Sequence[Any], ys: Sequence[Any], hover: Sequence[str]) -> Figure:
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


def _hover(trial: "FrozenTrial") -> str:
    value = trial.value if trial.value is not None else last_score(trial)
    lines = [f"trial {trial.number}, {trial.state.name.lower()}: {number(value, 4)}"]
    lines += [f"{name} = {plain(value)}" for name, value in trial.params.items()]
    return "<br>".join(html.escape(line) for line in lines)


def _value(trial: "FrozenTrial") -> float:
    assert trial.value is not None
    return trial.value
