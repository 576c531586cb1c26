"""Signed distances of simple solids, and smooth unions of them: negative inside.

Points are (3, N) arrays of float32 here, one row for each axis, which numpy works through fastest. The formulas are
those of Inigo Quilez (https://iquilezles.org/articles/distfunctions); where a solid is squashed they are bounds.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.vectors import FloatArray, Points

Distance = Callable[[FloatArray], FloatArray]
Numbers = Sequence[float] | Points


def smooth_union(first: FloatArray, second: FloatArray, radius: float) -> FloatArray:
    """The nearer of two distances, with a fillet of about ``radius`` where they meet."""
    blend = np.maximum(radius - np.abs(first - second), 0) / np.float32(radius)
    return np.asarray(np.minimum(first, second) - blend * blend * np.float32(radius / 4), np.float32)


def smooth_intersection(first: FloatArray, second: FloatArray, radius: float) -> FloatArray:
    """The farther of two distances, with an edge rounded by about ``radius``."""
    return -smooth_union(-first, -second, radius)


def carve(solid: FloatArray, tool: FloatArray, radius: float) -> FloatArray:
    """Take ``tool`` out of ``solid``, with rims rounded by about ``radius``."""
    return smooth_intersection(solid, -tool, radius)


def length(points: FloatArray) -> FloatArray:
    """Distances from the origin, (N,)."""
    return np.asarray(np.sqrt(points[0] ** 2 + points[1] ** 2 + points[2] ** 2), np.float32)


def stretch(points: FloatArray, factors: Numbers) -> FloatArray:
    """Points with each axis multiplied by a factor."""
    return points * np.asarray(factors, np.float32)[:, None]


def rotated(points: FloatArray, matrix: NDArray[Any]) -> FloatArray:
    """``matrix @ points``, written out so that every number of threads gives the same last bit."""
    rows = np.asarray(matrix, np.float32)
    return np.stack([row[0] * points[0] + row[1] * points[1] + row[2] * points[2] for row in rows])


def into_frame(points: FloatArray, origin: Numbers, axes: NDArray[Any]) -> FloatArray:
    """Coordinates in a frame: ``axes`` (3, 3) has the frame's axes as columns."""
    return rotated(points - np.asarray(origin, np.float32)[:, None], np.asarray(axes).T)


def mirrored(points: FloatArray) -> FloatArray:
    """Points with x made positive: one half of a body, for both."""
    return np.concatenate([np.abs(points[:1]), points[1:]])


def capsule(points: FloatArray, start: Numbers, end: Numbers, first: float, last: float) -> FloatArray:
    """A rod with round ends, whose radius goes from ``first`` to ``last``."""
    axis = np.asarray(end, np.float32) - np.asarray(start, np.float32)
    x, y, z = points - np.asarray(start, np.float32)[:, None]
    along = (axis[0] * x + axis[1] * y + axis[2] * z) / np.float32((axis**2).sum())
    np.clip(along, 0, 1, out=along)
    x, y, z = x - axis[0] * along, y - axis[1] * along, z - axis[2] * along
    return np.asarray(np.sqrt(x * x + y * y + z * z) - np.float32(first) - np.float32(last - first) * along, np.float32)


def ellipsoid(points: FloatArray, center: Numbers, radii: Numbers) -> FloatArray:
    """An ellipsoid along the axes; near its surface the value is the distance."""
    inverse = np.asarray(1 / np.asarray(radii, np.float64), np.float32)[:, None]
    scaled = np.asarray((points - np.asarray(center, np.float32)[:, None]) * inverse, np.float32)
    reach = length(scaled)
    return np.asarray(reach * (reach - 1) / (length(scaled * inverse) + np.float32(1e-9)), np.float32)


def rods(points: FloatArray, joints: Numbers, radii: Numbers, blend: float) -> FloatArray:
    """Capsules from joint (K, 3) to joint, smoothly united; one radius for each joint."""
    stops = np.asarray(joints, np.float32)
    parts = [capsule(points, stops[i], stops[i + 1], radii[i], radii[i + 1]) for i in range(len(stops) - 1)]
    return united(parts, blend)


def united(parts: Sequence[FloatArray], blend: float) -> FloatArray:
    """Smooth union of several distances, from the first to the last."""
    total = parts[0]
    for part in parts[1:]:
        total = smooth_union(total, part, blend)
    return total
