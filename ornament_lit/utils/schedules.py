"""Curves over training or over iterations: pure functions of the position, in [0, 1] to [0, 1]."""

import math
from collections.abc import Callable
from typing import Literal

CurveName = Literal["constant", "linear", "cosine"]


def constant(position: float) -> float:
    """Stay at 1, wherever the position."""
    return 1.0


def linear(position: float) -> float:
    """Fall from 1 at position 0 to 0 at position 1 in a straight line, and stay there."""
    return 1.0 - min(max(position, 0.0), 1.0)


def cosine(position: float) -> float:
    """Fall from 1 at position 0 to 0 at position 1 along half a cosine, and stay there."""
    return 0.5 * (1.0 + math.cos(math.pi * min(max(position, 0.0), 1.0)))


CURVES: dict[str, Callable[[float], float]] = {"constant": constant, "linear": linear, "cosine": cosine}


def decay(name: CurveName, step: int, num_steps: int, final: float = 0.0) -> float:
    """Value at ``step`` of a curve that falls from 1 to ``final`` within ``num_steps``.

    Args:
        name: ``constant`` (never falls), ``linear`` or ``cosine``.
        step: Steps taken so far, from 0.
        num_steps: Steps until the curve has reached ``final``, at least 1.
        final: Value at the end, in [0, 1].

    Returns:
        The factor, in [``final``, 1].

    Raises:
        ValueError: If the name is unknown or ``num_steps`` is not positive.
    """
    if name not in CURVES:
        raise ValueError(f"a schedule is one of {', '.join(CURVES)}, got {name!r}")
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    return final + (1.0 - final) * CURVES[name](step / num_steps)


def ramp(start: float, step: int, num_steps: int) -> float:
    """Value at ``step`` of a straight line from ``start`` to 1 within ``num_steps``; 1 at once where that is 0.

    This is the paper's alpha, "from small (trust the box) to 1 (trust the prediction)".

    Args:
        start: Value at step 0, in [0, 1].
        step: Steps taken so far, from 0.
        num_steps: Steps until the value is 1; 0 for always 1.

    Returns:
        The value, in [``start``, 1].
    """
    return 1.0 if num_steps == 0 else 1.0 - (1.0 - start) * linear(step / num_steps)
