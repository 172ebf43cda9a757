"""How numbers are written: the only place where reports round. Used as template filters.

Every function takes None for "not measured" and then writes an en dash, never 0.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

MISSING = "\u2013"
MINUS = "\u2212"
NARROW_SPACE = "\u202f"
FEWEST_P = 0.001
"""Smaller p-values are written as a bound: Monte-Carlo and ties make more digits meaningless."""


def number(value: float | None, digits: int = 3) -> str:
    """Write a fixed number of decimals, with a real minus sign and no negative zero.

    Examples
    --------
    >>> number(0.12345), number(None) == MISSING, number(-0.0001, 2)
    ('0.123', True, '0.00')
    """
    if value is None:
        return MISSING
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return text.removeprefix("-")
    return text.replace("-", MINUS)


def signed(value: float | None, digits: int = 1) -> str:
    """Like `number`, with a plus sign on what is above zero after rounding."""
    text = number(value, digits)
    return f"+{text}" if value is not None and float(text.replace(MINUS, "-")) > 0 else text


def percent(value: float | None, digits: int = 1) -> str:
    """Write a fraction as a percentage, without the sign: the column head carries it.

    Examples
    --------
    >>> percent(0.8804)
    '88.0'
    """
    return number(None if value is None else 100 * value, digits)


def points(value: float | None, digits: int = 1) -> str:
    """Write a difference of fractions as signed percentage points.

    Examples
    --------
    >>> points(0.0123), points(0.0)
    ('+1.2', '0.0')
    """
    return signed(None if value is None else 100 * value, digits)


def percent_interval(estimate: Mapping[str, Any] | None) -> str:
    """Write the interval of an Estimate of a fraction, e.g. ``73.9-78.8`` with an en dash."""
    if estimate is None:
        return ""
    return f"{percent(estimate['low'])}\u2013{percent(estimate['high'])}"


def points_interval(estimate: Mapping[str, Any] | None) -> str:
    """Write the interval of an Estimate of a difference, e.g. ``-0.4 to +5.0``."""
    return "" if estimate is None else f"{points(estimate['low'])} to {points(estimate['high'])}"


def number_interval(estimate: Mapping[str, Any] | None, digits: int = 3) -> str:
    """Write the interval of an Estimate on its own scale."""
    if estimate is None:
        return ""
    return f"{number(estimate['low'], digits)}\u2013{number(estimate['high'], digits)}"


def p_value(value: float | None) -> str:
    """Two digits that matter, and a bound below 0.001.

    Examples
    --------
    >>> p_value(0.6), p_value(0.0123), p_value(0.00001), p_value(1.0)
    ('0.60', '0.012', '< 0.001', '1')
    """
    if value is None:
        return MISSING
    if value < FEWEST_P:
        return f"< {FEWEST_P}"
    return "1" if value >= 0.995 else f"{value:#.2g}"


def count(value: float | None) -> str:
    """Write a whole number with thousands apart.

    Examples
    --------
    >>> count(4241)
    '4,241'
    """
    return MISSING if value is None else f"{value:,.0f}"


def seconds(value: float | None) -> str:
    """Write a duration.

    Examples
    --------
    >>> [seconds(s).replace(NARROW_SPACE, " ") for s in (0.004, 3.21, 75, 3725)]
    ['4 ms', '3.2 s', '1 min 15 s', '1 h 02 min']
    """
    if value is None:
        return MISSING
    if value < 0.9995:
        return f"{1000 * value:.0f}{NARROW_SPACE}ms"
    if value < 59.95:
        return f"{value:.1f}{NARROW_SPACE}s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}{NARROW_SPACE}min {rest:02d}{NARROW_SPACE}s"
    return f"{minutes // 60}{NARROW_SPACE}h {minutes % 60:02d}{NARROW_SPACE}min"


def size(value: float | None) -> str:
    """Write a number of bytes in powers of 1000.

    Examples
    --------
    >>> [size(b).replace(NARROW_SPACE, " ") for b in (312, 45_678, 2_345_678)]
    ['312 B', '46 kB', '2.3 MB']
    """
    if value is None:
        return MISSING
    for unit, scale, digits in (("GB", 1e9, 1), ("MB", 1e6, 1), ("kB", 1e3, 0)):
        if value >= 0.9995 * scale:
            return f"{value / scale:.{digits}f}{NARROW_SPACE}{unit}"
    return f"{value:.0f}{NARROW_SPACE}B"


def coverage(value: Mapping[str, float] | None) -> str:
    """Coverages at the given risks, in per cent, in the order of the risks."""
    if not value:
        return MISSING
    return " / ".join(percent(value[risk], 0) for risk in sorted(value, key=float))


def shorten(text: str, longest: int = 400) -> str:
    """Cut a text at ``longest`` characters, with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}\u2026"


def sentence_case(text: str) -> str:
    """Turn an identifier into words: ``blank_image`` into ``Blank image``."""
    words = text.replace("_", " ")
    return words[:1].upper() + words[1:]


def plain(value: Any) -> str:
    """Write a value of unknown type: thousands apart, six digits at most, pairs and lists joined.

    Examples
    --------
    >>> plain(12345), plain(0.123456789), plain({"a": 1}), plain([1, "b"])
    ('12,345', '0.123457', 'a: 1', '1, b')
    """
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", MINUS)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {plain(part)}" for key, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(plain(part) for part in value)
    return str(value)


def raw(value: float | None) -> str:
    """Write a number as scripts read it, nothing for None; what the page shows is written by the others."""
    return "" if value is None else repr(value)


def lower_first(text: str) -> str:
    """Begin a label in the middle of a sentence, unless it begins with a name in capitals.

    Examples
    --------
    >>> lower_first("Decision tree"), lower_first("XGBoost without the image"), lower_first("LLaVA")
    ('decision tree', 'XGBoost without the image', 'LLaVA')
    """
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def tick(value: float) -> str:
    """Write a value on an axis, as short as it is exact."""
    return f"{value:,.6g}".replace("-", MINUS)


def tick_percent(value: float) -> str:
    """Write a fraction on an axis in per cent.

    Examples
    --------
    >>> tick_percent(0.725), tick_percent(0.8)
    ('72.5', '80')
    """
    return tick(100 * value)


FILTERS: Mapping[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        number,
        signed,
        percent,
        points,
        percent_interval,
        points_interval,
        number_interval,
        p_value,
        count,
        seconds,
        size,
        coverage,
        shorten,
        sentence_case,
        plain,
        raw,
        lower_first,
        tick,
        tick_percent,
    )
}
