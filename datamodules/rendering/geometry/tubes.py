"""Profiles swept along curves (wires, bands, hems) and turned around an axis."""

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh, grid_mesh, outwards
from datamodules.rendering.geometry.vectors import Points, Vector, across, dot, unit

CAP = np.linspace(0, np.pi / 2, 5)[:-1]


def circle(radius: float, count: int = 96, squash: float = 1.0) -> Vector:
    """Points (count, 3) around the origin in the plane of x and y, whose y is multiplied by ``squash``."""
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([radius * np.cos(angles), squash * radius * np.sin(angles), 0 * angles], -1)


def tangents(points: Points, closed: bool) -> Vector:
    """Unit directions (N, 3) of a curve at its points."""
    if closed:
        return np.asarray(unit(np.roll(points, -1, 0) - np.roll(points, 1, 0)))
    return np.asarray(unit(np.gradient(points, axis=0)))


def carried_normals(points: Points, closed: bool) -> Vector:
    """Unit normals (N, 3) that turn as little as possible along a curve, and fit together where it closes."""
    along = tangents(points, closed)
    normals = [across(np.eye(3)[np.argmin(np.abs(along[0]))], along[0])]
    for direction in along[1:]:
        normals.append(across(normals[-1], direction))
    carried = np.array(normals)
    if not closed:
        return carried
    last = across(carried[-1], along[0])
    miss = np.arctan2(np.cross(carried[0], last) @ along[0], carried[0] @ last)
    angles = -miss * np.arange(len(points)) / len(points)
    return np.asarray(carried * np.cos(angles)[:, None] + np.cross(along, carried) * np.sin(angles)[:, None])


def tube(
    points: Points, radius: float | Points, closed: bool = False, normals: Points | None = None, sides: int = 10
) -> Mesh:
    """A round wire along a curve; open ends are half spheres.

    Args:
        points: (N, 3) of the curve.
        radius: One number or (N,).
        closed: Whether the last point joins the first.
        normals: (N, 3) where the first side lies; by default they turn as little as possible.
        sides: Of the wire.

    Returns:
        A closed mesh, facing outwards.
    """
    path = np.asarray(points, np.float64)
    factors = np.broadcast_to(np.asarray(radius, np.float64), (len(path),))
    first = carried_normals(path, closed) if normals is None else np.asarray(normals)
    if not closed:
        path, factors, first = _with_caps(path, factors, first)
    return sweep(path, first, circle(1.0, sides)[:, :2], np.stack([factors, factors], -1), closed)


def sweep(points: Points, normals: Points, profile: Points, factors: Points, closed: bool) -> Mesh:
    """Sweep a profile along a curve; open ends are closed by a flat fan.

    Args:
        points: (N, 3) of the curve.
        normals: (N, 3) directions of the profile's first axis; the second is the tangent x the first.
        profile: (K, 2) closed outline.
        factors: (N, 2) of the profile's axes.
        closed: Whether the last point joins the first.

    Returns:
        A closed mesh, facing outwards.
    """
    along = tangents(points, closed)
    first = across(np.asarray(normals), along)
    second = np.cross(along, first)
    offsets = np.asarray(profile)[None] * np.asarray(factors)[:, None]
    rings = points[:, None] + offsets[..., :1] * first[:, None] + offsets[..., 1:] * second[:, None]
    mesh = grid_mesh(rings, (closed, True))
    return outwards(mesh if closed else _with_poles(mesh, points, along, len(profile)))


def lathe(profile: Points, count: int = 32) -> Mesh:
    """Turn a profile around z.

    Args:
        profile: (K, 2) distances from the axis and heights, from one end on the axis to the other.
        count: Steps around the axis.

    Returns:
        A closed mesh, facing outwards.
    """
    outline = np.asarray(profile, np.float64)
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False)
    radii, heights = np.maximum(outline[:, 0], 1e-4), outline[:, 1]
    points = [np.outer(np.cos(angles), radii), np.outer(np.sin(angles), radii), np.tile(heights, (count, 1))]
    return outwards(grid_mesh(np.stack(points, -1), (True, False)))


def arc_lengths(points: Points, closed: bool) -> Vector:
    """Lengths along a curve at its points: (N,), and one more, of the whole, for a closed one."""
    ring = np.concatenate([points, points[:1]]) if closed else np.asarray(points)
    steps = ring[1:] - ring[:-1]
    return np.concatenate([[0.0], np.cumsum(np.sqrt(dot(steps, steps)))])


def resampled(points: Points, closed: bool, count: int) -> Vector:
    """``count`` points evenly spaced along a curve (N, 3)."""
    lengths = arc_lengths(points, closed)
    ring = np.concatenate([points, points[:1]]) if closed else np.asarray(points)
    places = np.linspace(0, lengths[-1], count, endpoint=not closed)
    return np.stack([np.interp(places, lengths, ring[:, axis]) for axis in range(3)], -1)


def _with_caps(points: Vector, factors: Vector, first: Vector) -> tuple[Vector, Vector, Vector]:
    along = tangents(points, False)
    reach, shrink = np.cos(CAP)[:, None], np.maximum(np.sin(CAP), 0.05)
    start = points[:1] - along[:1] * factors[0] * reach
    end = (points[-1:] + along[-1:] * factors[-1] * reach)[::-1]
    repeats = len(CAP)
    return (
        np.concatenate([start, points, end]),
        np.concatenate([factors[0] * shrink, factors, (factors[-1] * shrink)[::-1]]),
        np.concatenate([first[:1].repeat(repeats, 0), first, first[-1:].repeat(repeats, 0)]),
    )


def _with_poles(mesh: Mesh, points: Vector, along: Vector, sides: int) -> Mesh:
    """Close both ends with fans around one vertex each."""
    count = len(mesh.vertices)
    around, following = np.arange(sides), np.roll(np.arange(sides), -1)
    last = count - sides
    start = np.stack([np.full(sides, count), around, following], -1)
    end = np.stack([np.full(sides, count + 1), last + following, last + around], -1)
    poles = points[[0, -1]].astype(np.float32)
    faces = np.concatenate([mesh.faces, start, end]).astype(np.uint32)
    normals = np.concatenate([mesh.normals, -along[:1], along[-1:]]).astype(np.float32)
    return Mesh(np.concatenate([mesh.vertices, poles]), normals, faces)
