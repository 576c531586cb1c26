"""How figures and their intervals are written."""

import math

from ornament_lit.metrics.bootstrap import Interval

ABSENT = "-"


def format_number(value: float, like: float | None = None) -> str:
    """A figure with about four digits: ``88.70``, ``0.0593``, ``-1.203``.

    Args:
        value: The figure; not a number where nothing was measured.
        like: A figure whose number of decimals it gets; None for its own.
    """
    if math.isnan(value):
        return ABSENT
    size = abs(value if like is None or math.isnan(like) else like)
    return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 3 if size >= 1 else 4}f}"


def format_interval(interval: Interval, brackets: str = "[{}, {}]") -> str:
    """A figure and its interval: ``88.70 [88.10, 89.30]``; the figure alone where there is no interval."""
    value = format_number(interval.value)
    if math.isnan(interval.low):
        return value
    return f"{value} {brackets.format(*(format_number(end, interval.value) for end in (interval.low, interval.high)))}"
