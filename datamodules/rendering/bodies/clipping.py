"""Cutting cloth: a mesh is cut exactly along a curve, and the cut gets a hem."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.tubes import arc_lengths, resampled, tube
from datamodules.rendering.geometry.vectors import FloatArray, Points, Vector, unit

Cut = Callable[[Points], NDArray[Any]]


def clip(mesh: Mesh, cut: Cut) -> tuple[Mesh, list[Vector]]:
    """Keep what of a mesh lies where ``cut`` is negative.

    Args:
        mesh: The cloth.
        cut: Gives a number for each of (N, 3) points; it is zero where the shears go.

    Returns:
        The cut mesh, whose new border lies where ``cut`` is zero, and that border as closed or open curves (N, 3).
    """
    values = cut(mesh.vertices)
    inside = values < 0
    faces = mesh.faces.astype(np.int64)
    kept = inside[faces].sum(1)
    crossing = faces[(kept == 1) | (kept == 2)]
    sides = np.sort(np.concatenate([crossing[:, [0, 1]], crossing[:, [1, 2]], crossing[:, [2, 0]]]), 1)
    sides = np.unique(sides[inside[sides[:, 0]] != inside[sides[:, 1]]], axis=0)
    points, normals = _on_the_cut(mesh, sides, cut)
    number = {(int(a), int(b)): len(values) + i for i, (a, b) in enumerate(sides)}
    pieces, border = _split(crossing, inside, number)
    whole = np.concatenate([faces[kept == 3], np.asarray(pieces, np.int64).reshape(-1, 3)])
    vertices = np.concatenate([mesh.vertices, points])
    clipped = _used(Mesh(vertices, np.concatenate([mesh.normals, normals]), whole.astype(np.uint32)))
    return clipped, [vertices[loop].astype(np.float64) for loop in _chains(border)]


def hem(curve: Vector, radius: float, spacing: float, sides: int = 8) -> Mesh:
    """A rounded border along a cut: a tube on its curve (N, 3), smoothed, with points about ``spacing`` apart."""
    closed = bool(np.linalg.norm(curve[0] - curve[-1]) < 3 * spacing)
    count = max(int(arc_lengths(curve, closed)[-1] / spacing), 8)
    points = resampled(curve, closed, count)
    for _ in range(6):
        mean = (np.roll(points, 1, 0) + np.roll(points, -1, 0)) / 2
        step = 0.5 * (mean - points)
        if not closed:
            step[[0, -1]] = 0
        points = points + step
    return tube(points, radius, closed, sides=sides)


def _on_the_cut(mesh: Mesh, sides: NDArray[Any], cut: Cut) -> tuple[FloatArray, FloatArray]:
    start, end = mesh.vertices[sides[:, 0]], mesh.vertices[sides[:, 1]]
    low, high = np.zeros((len(sides), 1)), np.ones((len(sides), 1))
    sign = np.sign(cut(start))[:, None]
    for _ in range(12):
        middle = (low + high) / 2
        same = np.sign(cut(start + middle * (end - start)))[:, None] == sign
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    share = (low + high) / 2
    normals = unit(mesh.normals[sides[:, 0]] * (1 - share) + mesh.normals[sides[:, 1]] * share)
    return (start + share * (end - start)).astype(np.float32), normals.astype(np.float32)


def _split(
    crossing: NDArray[Any], inside: NDArray[Any], number: dict[tuple[int, int], int]
) -> tuple[list[tuple[int, int, int]], list[tuple[int, int]]]:
    pieces: list[tuple[int, int, int]] = []
    border: list[tuple[int, int]] = []
    for face in crossing.tolist():
        odd = [corner for corner in range(3) if inside[face[corner]] != inside[face[(corner + 1) % 3]]]
        alone = next(i for i in range(3) if i in odd and (i - 1) % 3 in odd)
        tip, second, third = face[alone], face[(alone + 1) % 3], face[(alone + 2) % 3]
        first_cut = number[min(tip, second), max(tip, second)]
        other_cut = number[min(tip, third), max(tip, third)]
        if inside[tip]:
            pieces.append((tip, first_cut, other_cut))
            border.append((first_cut, other_cut))
        else:
            pieces += [(first_cut, second, third), (first_cut, third, other_cut)]
            border.append((other_cut, first_cut))
    return pieces, border


def _chains(border: list[tuple[int, int]]) -> list[list[int]]:
    following = dict(border)
    arrivals = {end for _, end in border}
    starts = [start for start, _ in border if start not in arrivals] + [start for start, _ in border]
    chains = []
    for start in starts:
        chain = [start]
        while chain[-1] in following:
            chain.append(following.pop(chain[-1]))
        if len(chain) > 8:
            chains.append(chain[:-1] if chain[-1] == chain[0] else chain)
    return chains


def _used(mesh: Mesh) -> Mesh:
    names, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[names], mesh.normals[names], faces.reshape(-1, 3).astype(np.uint32))
