"""Letting a loop of thread come to rest on a body, by position based dynamics."""

from collections.abc import Callable, Sequence

import numpy as np

from datamodules.rendering.geometry.fields import DistanceField
from datamodules.rendering.geometry.vectors import FloatArray, Points, Vector

PULL = 6e-4
DAMPING = 0.96
STRETCH_ROUNDS = 6
CORRECTION = 0.85
"""Share of an error that each of two neighbours moves; more than 0.5 converges faster (successive over-relaxation)."""
FRICTION = 0.25
CALM = 0.6


def drape(
    field: DistanceField,
    points: Points,
    length: float,
    clearance: float,
    gravity: Points,
    steps: int = 200,
    heavy: Sequence[int] = (),
) -> Vector:
    """Let a closed loop fall on a body.

    After Müller et al., "Position Based Dynamics" (2007): points move by their momentum, then neighbours are moved
    back to their distance and everybody out of the body. In the last part of the time everything weighs less, so that
    what the weight had stretched becomes as long as it was.

    Args:
        field: Distance to the body.
        points: (N, 3) of the loop at first, N even.
        length: Of the loop, which it keeps within about 1 %.
        clearance: Distance from the body that points keep.
        gravity: (3,) direction of the fall.
        steps: Of time.
        heavy: Points that pull three times as much, as with a pendant.

    Returns:
        (N, 3) points of the loop at rest.

    Raises:
        ValueError: If the number of points is odd.
    """
    count = len(points)
    if count % 2:
        raise ValueError(f"a loop to drape must have an even number of points, got {count}")
    now = np.asarray(points, np.float32).copy()
    before, spacing = now.copy(), np.float32(length / count)
    falls = np.tile((np.asarray(gravity) * PULL).astype(np.float32), (count, 1))
    falls[list(heavy)] *= 3
    for step in range(steps):
        if step == int(CALM * steps):
            falls *= np.float32(0.2)
        moved = now + np.float32(DAMPING) * (now - before) + falls
        before, now = now, moved
        for _ in range(STRETCH_ROUNDS):
            _keep_distances(now, spacing)
        _push_out(field, now, before, clearance)
    return now.astype(np.float64)


def around(
    distance: Callable[[Points], FloatArray], center: Points, first: Points, second: Points, count: int = 64
) -> tuple[Vector, Vector]:
    """Go around a limb, in the plane of two unit vectors.

    Args:
        distance: Signed distance at points (N, 3).
        center: (3,) inside the limb.
        first: (3,) in the plane.
        second: (3,) in the plane, at right angles to it.
        count: Of directions.

    Returns:
        Unit directions (count, 3) from the centre, and how far (count,) the surface is in each.
    """
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    directions = np.outer(np.cos(angles), first) + np.outer(np.sin(angles), second)
    low, high = np.zeros(count), np.full(count, 1.2)
    for _ in range(20):
        middle = (low + high) / 2
        inside = distance(center + middle[:, None] * directions) < 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return directions, (low + high) / 2


def _keep_distances(points: FloatArray, spacing: np.float32) -> None:
    """Move neighbours to their distance: first the pairs (0, 1), (2, 3), ..., then (1, 2), (3, 4), ..."""
    even, odd = points[0::2], points[1::2]
    _correct(even, odd, spacing)
    following = np.roll(even, -1, 0)
    _correct(odd, following, spacing)
    even[:] = np.roll(following, 1, 0)


def _correct(first: FloatArray, second: FloatArray, spacing: np.float32) -> None:
    step = second - first
    apart = np.sqrt(np.einsum("ni,ni->n", step, step)) + np.float32(1e-9)
    step *= (np.float32(CORRECTION) * (apart - spacing) / apart)[:, None]
    first += step
    second -= step


def _push_out(field: DistanceField, now: FloatArray, before: FloatArray, clearance: float) -> None:
    distances, normals = field.distance_and_normal(now)
    inside = np.nonzero(distances < clearance)[0]
    now[inside] += normals[inside] * (np.float32(clearance) - distances[inside])[:, None]
    before[inside] += (now[inside] - before[inside]) * np.float32(FRICTION)
