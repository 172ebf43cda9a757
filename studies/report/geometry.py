"""Positions of marks in figures, in per cent of the plot's width and height; templates only place them.

Figures are inline SVG in percentages, so that they follow the page's width and colours while text
keeps its size. Left out: everything but intervals on one axis, lines with a band, dots and their labels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 240
"""Longer lines are averaged into this many points; a page is no archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A stretch of numbers laid over 0 to 100 per cent."""

    start: float
    stop: float
    log: bool = False

    def position(self, value: float) -> float:
        """Place of a value, in per cent, clipped to the axis and rounded to what a screen can show."""
        start, stop, at = self.start, self.stop, value
        if self.log:
            start, stop, at = math.log(start), math.log(stop), math.log(max(value, 1e-300))
        share = (at - start) / (stop - start)
        return round(100 * min(1.0, max(0.0, share)), 2)


def spanning_axis(values: Sequence[float], *, low: float = -math.inf, high: float = math.inf) -> Axis:
    """Axis from tick to tick around all values, kept within ``low`` and ``high``.

    Examples
    --------
    >>> spanning_axis([0.31, 0.88], low=0, high=1)
    Axis(start=0.3, stop=0.9, log=False)
    """
    finite = [value for value in values if math.isfinite(value)]
    start, stop = (min(finite), max(finite)) if finite else (0.0, 1.0)
    if stop == start:
        margin = abs(start) / 10 or 0.1
        start, stop = start - margin, stop + margin
    # Going out to a tick can ask for a wider step, which moves the ends once more.
    while (ends := _outward(start, stop)) != (start, stop):
        start, stop = ends
    start, stop = max(start, low), min(stop, high)
    return Axis(start=start, stop=stop)


def ticks(axis: Axis) -> list[dict[str, float]]:
    """Round values on the axis with their places: ``value`` and ``at`` (per cent)."""
    if axis.log:
        return [{"value": value, "at": axis.position(value)} for value in _log_values(axis)]
    step = _step(axis.stop - axis.start)
    first = math.ceil(axis.start / step - 1e-9)
    last = math.floor(axis.stop / step + 1e-9)
    values = [round(index * step, 12) for index in range(first, last + 1)]
    return [{"value": value, "at": axis.position(value)} for value in values]


def interval_mark(estimate: Mapping[str, Any], axis: Axis) -> dict[str, float]:
    """Places of an Estimate: ``value``, ``low``, ``high`` and the ``width`` between the two, in per cent."""
    low, high = axis.position(estimate["low"]), axis.position(estimate["high"])
    return {
        "value": axis.position(estimate["value"]),
        "low": low,
        "high": high,
        "width": round(high - low, 2),
    }


def line_chart(
    line: Sequence[tuple[float, float]],
    *,
    band: Sequence[tuple[float, float]] = (),
    x_axis: Axis | None = None,
    y_axis: Axis | None = None,
) -> dict[str, Any]:
    """Places for one line, its band and the ticks of both axes.

    Parameters
    ----------
    line : sequence of (x, y)
        In order of x; at least one point.
    band : sequence of (low, high)
        One per point, or empty.
    x_axis, y_axis : Axis, optional
        Shared axes; by default they span the data.

    Returns
    -------
    dict
        ``line`` and ``band`` as SVG point lists (y downward), ``dots`` and ``x_ticks``, ``y_ticks``.
    """
    x_axis = x_axis or spanning_axis([x for x, _ in line])
    y_axis = y_axis or spanning_axis([y for _, y in line] + [edge for pair in band for edge in pair])
    xs = [x_axis.position(x) for x, _ in line]
    edges = [(x, low) for x, (low, _) in zip(xs, band, strict=False)]
    edges += [(x, high) for x, (_, high) in reversed(list(zip(xs, band, strict=False)))]
    return {
        "line": _points([(at, y) for at, (_, y) in zip(xs, line, strict=True)], y_axis),
        "band": _points(edges, y_axis),
        "dots": [
            {"x": at, "y": round(100 - y_axis.position(y), 2)} for at, (_, y) in zip(xs, line, strict=True)
        ],
        "x_ticks": ticks(x_axis),
        "y_ticks": [{**tick, "at": round(100 - tick["at"], 2)} for tick in ticks(y_axis)],
    }


def dot_chart(
    dots: Sequence[tuple[float, float]],
    *,
    bars: Sequence[tuple[float, float]] = (),
    x_axis: Axis,
    y_axis: Axis,
) -> dict[str, Any]:
    """Places for dots, the intervals of their heights and the ticks of both axes.

    Parameters
    ----------
    dots : sequence of (x, y)
    bars : sequence of (low, high)
        One per dot, or empty.
    x_axis, y_axis : Axis

    Returns
    -------
    dict
        ``dots`` with ``x``, ``y`` and, with bars, ``top`` and ``bottom`` (y downward); ``x_ticks`` and
        ``y_ticks``.
    """
    placed = [{"x": x_axis.position(x), "y": round(100 - y_axis.position(y), 2)} for x, y in dots]
    for dot, (low, high) in zip(placed, bars, strict=False):
        dot["bottom"] = round(100 - y_axis.position(low), 2)
        dot["top"] = round(100 - y_axis.position(high), 2)
    return {
        "dots": placed,
        "x_ticks": ticks(x_axis),
        "y_ticks": [{**tick, "at": round(100 - tick["at"], 2)} for tick in ticks(y_axis)],
    }


def spread(places: Sequence[float], *, gap: float, stop: float = 100.0) -> list[float]:
    """Move places apart until neighbours are ``gap`` from each other, none above ``stop``, order kept.

    Where there is no room for all, the first ones lie below 0.

    Examples
    --------
    >>> spread([50, 52, 10], gap=5)
    [50, 55, 10]
    >>> spread([99, 98], gap=5)
    [100.0, 95.0]
    """
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = [places[index] for index in order]
    for place in range(1, len(moved)):
        moved[place] = max(moved[place], moved[place - 1] + gap)
    for place in reversed(range(len(moved))):
        most = stop if place == len(moved) - 1 else moved[place + 1] - gap
        moved[place] = min(moved[place], most)
    found = dict(zip(order, moved, strict=True))
    return [found[index] for index in range(len(places))]


def thinned(line: Sequence[tuple[float, float]], *, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """Means over runs of neighbours, so that at most ``most`` points are left.

    Examples
    --------
    >>> thinned([(0, 1.0), (1, 3.0), (2, 5.0), (3, 7.0)], most=2)
    [(0.5, 2.0), (2.5, 6.0)]
    """
    run = math.ceil(len(line) / most) if line else 1
    if run == 1:
        return [(float(x), float(y)) for x, y in line]
    runs = [line[start : start + run] for start in range(0, len(line), run)]
    return [(sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part)) for part in runs]


def _points(places: Sequence[tuple[float, float]], y_axis: Axis) -> str:
    return " ".join(f"{x:g},{round(100 - y_axis.position(y), 2):g}" for x, y in places)


def _outward(start: float, stop: float) -> tuple[float, float]:
    step = _step(stop - start)
    first, last = math.floor(start / step + 1e-9), math.ceil(stop / step - 1e-9)
    return round(first * step, 12), round(last * step, 12)


def _step(span: float, *, most: int = 6) -> float:
    rough = span / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))


def _log_values(axis: Axis) -> list[float]:
    """Powers of two for a short axis, powers of ten for a long one."""
    base = 2 if axis.stop / axis.start <= 2**10 else 10
    first = math.ceil(math.log(axis.start, base) - 1e-9)
    last = math.floor(math.log(axis.stop, base) + 1e-9)
    powers = [float(base) ** exponent for exponent in range(first, last + 1)]
    return powers if len(powers) <= 7 else powers[:: math.ceil(len(powers) / 7)]
