"""Figures of a bench, as lines and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 34


@dataclass(frozen=True)
class Figure:
    """A figure, or why there is none.

    Attributes:
        name: What it is, as a key.
        value: In ``unit``; None where it could not be had.
        unit: Of the value.
        note: How it was measured, or why it could not be had.
    """

    name: str
    value: float | None
    unit: str = ""
    note: str = ""

    def line(self) -> str:
        """One line of text."""
        shown = "-" if self.value is None else f"{_format(self.value)} {self.unit}".rstrip()
        return f"{self.name.replace('_', ' '):<{WIDTH}}{shown:<24}{self.note}".rstrip()


def _format(value: float) -> str:
    """Thousands apart where there are many, four figures where there are few."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def to_text(figures: Sequence[Figure], about: Mapping[str, Any]) -> str:
    """Lay figures out as lines under a head.

    Args:
        figures: In order.
        about: What was measured, and on which machine.
    """
    head = [f"{name.replace('_', ' ')}: {value}" for name, value in about.items()]
    return "\n".join([*head, "", *(figure.line() for figure in figures)])


def to_json(figures: Sequence[Figure], about: Mapping[str, Any]) -> bytes:
    """The same as JSON: ``about`` and ``figures``, by name with value, unit and note."""
    entries = {figure.name: {k: v for k, v in asdict(figure).items() if k != "name"} for figure in figures}
    return (json.dumps({"about": dict(about), "figures": entries}, indent=2) + "\n").encode()


def format_time(seconds: float) -> str:
    """A time in the unit that suits it."""
    for unit, length in (("days", 2 * 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= length:
            return f"{seconds / (86400.0 if unit == 'days' else length):.1f} {unit}"
    return f"{seconds:.1f} s"
