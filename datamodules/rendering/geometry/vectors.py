"""Vectors and rotations in space, on arrays whose last axis is x, y, z."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
Vector = NDArray[np.float64]
Points = NDArray[Any]

X, Y, Z = np.eye(3)


def dot(first: Points, second: Points) -> NDArray[Any]:
    """Products of vectors along the last axis, which goes."""
    return np.einsum("...i,...i->...", first, second)  # type: ignore[no-any-return]


def unit(vectors: Points | Sequence[float]) -> NDArray[Any]:
    """Vectors of length one in the same directions; zero stays (nearly) zero."""
    values = np.asarray(vectors)
    return values / (np.sqrt(dot(values, values))[..., None] + 1e-12)  # type: ignore[no-any-return]


def across(vectors: Points, direction: Points) -> NDArray[Any]:
    """Unit vectors: what of ``vectors`` lies at right angles to the unit vectors ``direction``."""
    return np.asarray(unit(vectors - dot(vectors, direction)[..., None] * direction))


def rotation(axis: Points | Sequence[float], angle: float) -> Vector:
    """(3, 3) rotation matrix, counter-clockwise seen against the axis; angle in radians."""
    x, y, z = unit(np.asarray(axis, np.float64))
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def columns(x: Points, y: Points, z: Points) -> NDArray[Any]:
    """(..., 3, 3) matrices whose columns are the images of the axes."""
    return np.stack(np.broadcast_arrays(x, y, z), -1)


def smooth_noise(rng: np.random.Generator, points: Points, frequency: float, waves: int = 10) -> FloatArray:
    """Smooth noise, about in [-1, 1], as a sum of cosines in random directions: (...) for points (..., 3)."""
    directions = (rng.normal(size=(waves, 3)) * frequency).astype(np.float32)
    phases = rng.uniform(0, 2 * np.pi, waves).astype(np.float32)
    total = np.cos(points.astype(np.float32) @ directions.T + phases).sum(-1)
    return np.asarray(total / np.sqrt(waves) / 1.4, np.float32)
