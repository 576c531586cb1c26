"""The small shapes that ornaments are made of, of unit size: spheres, faceted beads, links, plates."""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull

from datamodules.rendering.geometry.meshes import Mesh, grid_mesh, outwards
from datamodules.rendering.geometry.tubes import tube
from datamodules.rendering.geometry.vectors import Points, Vector, dot, unit

RIM = np.array([0.0, 0.4, 0.7, 0.86, 0.95, 1.0, 1.0, 0.95, 0.86, 0.7, 0.4, 0.0])
DOME = np.array([1, 0.98, 0.93, 0.85, 0.7, 0.3, -0.3, -0.7, -0.85, -0.93, -0.98, -1])


@lru_cache(maxsize=8)
def sphere(around: int = 28, down: int = 18) -> Mesh:
    """A sphere of radius one around the origin."""
    angles = np.linspace(0, 2 * np.pi, around, endpoint=False)[:, None]
    heights = np.linspace(1e-3, np.pi - 1e-3, down)[None]
    points = [np.sin(heights) * np.cos(angles), np.sin(heights) * np.sin(angles), np.tile(np.cos(heights), (around, 1))]
    mesh = grid_mesh(np.stack(points, -1), (True, False))
    return outwards(mesh._replace(normals=unit(mesh.vertices).astype(np.float32)))


def faceted(points: Points) -> Mesh:
    """The convex hull of points (N, 3) with flat faces, facing outwards."""
    hull = ConvexHull(points)
    faces = hull.simplices.copy()
    corners = points[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    inwards = dot(normals, hull.equations[:, :3]) < 0
    faces[inwards] = faces[inwards][:, ::-1]
    flat = np.repeat(unit(hull.equations[:, :3]), 3, axis=0)
    vertices = points[faces].reshape(-1, 3)
    return Mesh(
        vertices.astype(np.float32), flat.astype(np.float32), np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
    )


@lru_cache(maxsize=1)
def faceted_bead() -> Mesh:
    """A bead of about radius one, cut into facets, with its hole along x."""
    rings = []
    for height, shift in ((-0.92, 0.0), (-0.45, 0.5), (0.0, 0.0), (0.45, 0.5), (0.92, 0.0)):
        angles = 2 * np.pi * (np.arange(10) + shift) / 10
        radius = np.sqrt(1 - height**2)
        rings.append(np.stack([np.full(10, height), radius * np.cos(angles), radius * np.sin(angles)], -1))
    return faceted(np.concatenate(rings))


@lru_cache(maxsize=256)
def link(width: float, wire: float) -> Mesh:
    """A link of a chain, of length one along x, in the plane of x and y; ``wire`` is the radius of its wire."""
    radius, straight = width / 2 - wire, (1 - width) / 2
    angles = np.linspace(-np.pi / 2, np.pi / 2, 13)
    end = np.stack([straight + radius * np.cos(angles), radius * np.sin(angles), 0 * angles], -1)
    middle = np.linspace(straight, -straight, 5)[1:-1]
    side = np.stack([middle, np.full(3, radius), 0 * middle], -1)
    half = np.concatenate([end, side])
    points = np.concatenate([half, half * [-1, -1, 1]])
    return tube(points, wire, True, normals=np.tile([0.0, 0.0, 1.0], (len(points), 1)), sides=8)


@lru_cache(maxsize=32)
def plate(shape: str, thickness: float = 0.14, count: int = 120) -> Mesh:
    """A domed plate of about radius one in the plane of x and y, ``thickness`` to both sides of it."""
    x, y = OUTLINES[shape](np.linspace(0, 2 * np.pi, count, endpoint=False))
    rim = np.maximum(RIM, 1e-3)
    points = [np.outer(x, rim), np.outer(y, rim), np.tile(thickness * DOME, (count, 1))]
    return outwards(grid_mesh(np.stack(points, -1), (True, False)))


Outline = tuple[NDArray[Any], NDArray[Any]]


def _disc(angles: Vector) -> Outline:
    return np.cos(angles), np.sin(angles)


def _heart(angles: Vector) -> Outline:
    height = 13 * np.cos(angles) - 5 * np.cos(2 * angles) - 2 * np.cos(3 * angles) - np.cos(4 * angles)
    return np.sin(angles) ** 3, height / 15 + 0.12


def _star(angles: Vector) -> Outline:
    reach = 0.62 + 0.38 * np.abs(((angles * 5 / np.pi) % 2) - 1)
    return reach * np.sin(angles), reach * np.cos(angles)


def _leaf(angles: Vector) -> Outline:
    return 0.48 * np.sin(angles) * np.abs(np.sin(angles)) ** 0.35, np.cos(angles)


def _cross(angles: Vector) -> Outline:
    across, up = np.maximum(np.abs(np.cos(angles)), 1e-6), np.maximum(np.abs(np.sin(angles)), 1e-6)
    beam, post = np.minimum(0.26 / up, 0.72 / across), np.minimum(0.26 / across, 1.0 / up)
    reach = np.maximum(beam, post)
    return reach * np.cos(angles), reach * np.sin(angles)


def _drop(angles: Vector) -> Outline:
    return 0.66 * np.sin(angles) * np.sin(angles / 2) ** 1.3, np.cos(angles)


def _bar(angles: Vector) -> Outline:
    x, y = np.sin(angles), np.cos(angles)
    return 0.16 * np.sign(x) * np.abs(x) ** 0.3, np.sign(y) * np.abs(y) ** 0.35


OUTLINES = {"disc": _disc, "heart": _heart, "star": _star, "leaf": _leaf, "cross": _cross, "drop": _drop, "bar": _bar}
