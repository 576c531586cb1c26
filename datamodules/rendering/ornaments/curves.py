"""The curve that a flexible piece lies on, and where along it its parts go."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datamodules.rendering.geometry.tubes import arc_lengths
from datamodules.rendering.geometry.vectors import Points, Vector, across, columns, dot, rotation, unit


class Frames(NamedTuple):
    """Places on a curve, (N, 3) each.

    Attributes:
        positions: On the curve.
        along: Unit tangents.
        outwards: Unit normals, away from the body or the table.
        aside: Unit vectors at right angles to both: ``along`` x ``outwards``.
    """

    positions: Vector
    along: Vector
    outwards: Vector
    aside: Vector


@dataclass(frozen=True, eq=False)
class Curve:
    """A closed curve, measured by its length.

    Attributes:
        points: (N, 3) on it, in order; the last joins the first.
        normals: (N, 3) unit vectors away from the body or the table.
    """

    points: Vector
    normals: Vector

    @property
    def length(self) -> float:
        """Once around."""
        return float(arc_lengths(self.points, True)[-1])

    def at(self, places: Points) -> Frames:
        """Frames at lengths (N,) along the curve; whole turns do not matter."""
        lengths = arc_lengths(self.points, True)
        reach = 0.004 * lengths[-1]
        positions = _between(places, lengths, self.points)
        along = unit(_between(places + reach, lengths, self.points) - _between(places - reach, lengths, self.points))
        outwards = across(_between(places, lengths, self.normals), along)
        return Frames(positions, along, outwards, np.cross(along, outwards))


class Hook(NamedTuple):
    """Where a pendant hangs.

    Attributes:
        top: (3,) the point that it hangs from.
        axes: (3, 3) whose columns are its x, its y (up) and its z (to the viewer).
    """

    top: Vector
    axes: Vector


Hang = Callable[[Frames, float, float], Hook]
"""Finds the hook of a pendant at one place of the curve (arrays (1, 3)), from its size and how far it reaches back."""


class Strand(NamedTuple):
    """What a flexible piece is strung on.

    Attributes:
        curve: Its curve.
        front: Length along the curve at which the middle of the front is.
        hang: How pendants hang from it.
    """

    curve: Curve
    front: float
    hang: Hang


def hook(top: Vector, up: Vector, to_viewer: Vector) -> Hook:
    """A hook from unit vectors, of which ``up`` is kept."""
    z = across(to_viewer, up)
    return Hook(top, columns(np.cross(up, z), up, z))


def propped(hook: Hook, lack: float, size: float) -> Hook:
    """Tilt a pendant out at its lower end, so that its middle comes forward by ``lack``, if that is positive."""
    tilt = rotation(hook.axes[:, 0], -np.arctan2(max(lack, 0.0), 0.6 * size))
    return Hook(hook.top, tilt @ hook.axes)


def turned(frames: Frames, angles: Points) -> Vector:
    """(N, 3, 3) axes with x along the curve and z turned from outwards to aside by angles (N,)."""
    cosine, sine = np.cos(angles)[:, None], np.sin(angles)[:, None]
    z = frames.outwards * cosine + frames.aside * sine
    return columns(frames.along, np.cross(z, frames.along), z)


def smoothed(vectors: Points, passes: int) -> Vector:
    """Directions (N, 3) around a closed curve, each several times averaged with its neighbours."""
    for _ in range(passes):
        vectors = 0.5 * vectors + 0.25 * (np.roll(vectors, 1, 0) + np.roll(vectors, -1, 0))
    return np.asarray(unit(vectors))


def nearest_to(curve: Curve, direction: Vector) -> float:
    """Length along a curve at which it reaches farthest into a direction (3,)."""
    return float(arc_lengths(curve.points, True)[int(np.argmax(dot(curve.points, direction)))])


def _between(places: Points, lengths: Vector, values: Vector) -> Vector:
    ring = np.concatenate([values, values[:1]])
    around = np.asarray(places) % lengths[-1]
    return np.stack([np.interp(around, lengths, ring[:, axis]) for axis in range(3)], -1)
