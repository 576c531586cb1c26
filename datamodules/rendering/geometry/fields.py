"""A signed distance sampled into a grid: quick to look up for draping, and the source of a body's mesh."""

from dataclasses import dataclass

import numpy as np
from skimage.measure import marching_cubes

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.sdf import Distance
from datamodules.rendering.geometry.vectors import FloatArray, Points, unit

CHUNK = 16384
TETRAHEDRON = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)


@dataclass(frozen=True, eq=False)
class DistanceField:
    """A signed distance on a regular grid, read between its nodes by trilinear interpolation.

    Attributes:
        values: (A, B, C) distances at the nodes, negative inside.
        low: (3,) position of the first node.
        step: Between neighbours.
    """

    values: FloatArray
    low: FloatArray
    step: float

    def distance(self, points: Points) -> FloatArray:
        """Distances (N,) at points (N, 3); outside the grid, those of its nearest border."""
        return self._corners(points)[0]

    def distance_and_normal(self, points: Points) -> tuple[FloatArray, FloatArray]:
        """Distances (N,), and unit vectors (N, 3) away from the surface."""
        distance, gradient = self._corners(points)
        return distance, np.asarray(unit(gradient), np.float32)

    def normal(self, points: Points) -> FloatArray:
        """Unit vectors (N, 3) away from the surface."""
        return self.distance_and_normal(points)[1]

    def _corners(self, points: Points) -> tuple[FloatArray, FloatArray]:
        shape = np.array(self.values.shape)
        place = np.clip((np.asarray(points, np.float32) - self.low) / np.float32(self.step), 0, shape - 1.001)
        cell = place.astype(np.int32)
        x, y, z = (place - cell).astype(np.float32).T
        strides = np.array([shape[1] * shape[2], shape[2], 1])
        first = cell @ strides
        flat = self.values.ravel()
        corner = {
            (i, j, k): flat[first + i * strides[0] + j * strides[1] + k] for i in (0, 1) for j in (0, 1) for k in (0, 1)
        }
        edge = {(j, k): corner[0, j, k] + x * (corner[1, j, k] - corner[0, j, k]) for j in (0, 1) for k in (0, 1)}
        rise = {(j, k): corner[1, j, k] - corner[0, j, k] for j in (0, 1) for k in (0, 1)}
        near, far = edge[0, 0] + y * (edge[1, 0] - edge[0, 0]), edge[0, 1] + y * (edge[1, 1] - edge[0, 1])
        slopes = [edge[1, k] - edge[0, k] for k in (0, 1)]
        climbs = [rise[0, k] + y * (rise[1, k] - rise[0, k]) for k in (0, 1)]
        gradient = [climbs[0] + z * (climbs[1] - climbs[0]), slopes[0] + z * (slopes[1] - slopes[0]), far - near]
        return near + z * (far - near), np.stack(gradient, -1)


def evaluate(distance: Distance, points: Points) -> FloatArray:
    """Distances (N,) at points (N, 3), a piece at a time so that the pieces stay in the processor's cache."""
    rows = np.ascontiguousarray(np.asarray(points, np.float32).T)
    pieces = [distance(rows[:, start : start + CHUNK]) for start in range(0, rows.shape[1], CHUNK)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.float32)


def gradient_normals(distance: Distance, points: Points, reach: float) -> FloatArray:
    """Unit normals (N, 3) from differences of the distance at four points ``reach`` away from each."""
    moves = reach * TETRAHEDRON
    values = [evaluate(distance, points + move)[:, None] * move for move in moves]
    return np.asarray(unit(values[0] + values[1] + values[2] + values[3]), np.float32)


def sample_field(distance: Distance, low: Points, high: Points, step: float, block: int = 4) -> DistanceField:
    """Sample a distance: at every node near the surface, between coarse nodes elsewhere.

    Args:
        distance: Signed distance, changing by at most about one per unit of length.
        low: (3,) lower corner of the region.
        high: (3,) upper corner; the region may grow by a part of a block.
        step: Between nodes.
        block: Nodes from one coarse node to the next.
    """
    start = np.asarray(low, np.float32)
    blocks = np.ceil((np.asarray(high, np.float64) - start) / (step * block)).astype(int)
    coarse = evaluate(distance, _nodes(start, blocks + 1, step * block)).reshape(blocks + 1)
    values = coarse
    for axis in range(3):
        values = _refine(values, axis, block)
    near = np.abs(coarse) < 1.1 * step * block
    near = np.any(
        [near[i:, j:, k:][tuple(slice(size) for size in blocks)] for i in (0, 1) for j in (0, 1) for k in (0, 1)], 0
    )
    wanted = np.zeros(blocks * block + 1, bool)
    wanted[:-1, :-1, :-1] = near.repeat(block, 0).repeat(block, 1).repeat(block, 2)
    for axis in range(3):
        wanted |= np.roll(wanted, 1, axis)
    places = np.nonzero(wanted)
    values[places] = evaluate(distance, start + np.float32(step) * np.stack(places, -1).astype(np.float32))
    return DistanceField(values, start, step)


def surface_mesh(field: DistanceField, distance: Distance) -> Mesh:
    """Triangles where the field is zero, with the normals of the distance that it was sampled from."""
    vertices, faces, _, _ = marching_cubes(field.values, 0.0, spacing=(field.step,) * 3)  # type: ignore[no-untyped-call]
    vertices = (vertices + field.low).astype(np.float32)
    normals = gradient_normals(distance, vertices, 0.6 * field.step)
    return Mesh(vertices, normals, np.ascontiguousarray(faces, np.uint32))


def _nodes(low: FloatArray, counts: Points, step: float) -> FloatArray:
    axes = [low[axis] + np.float32(step) * np.arange(counts[axis], dtype=np.float32) for axis in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)


def _refine(values: FloatArray, axis: int, factor: int) -> FloatArray:
    values = np.moveaxis(values, axis, 0)
    weights = (np.arange(factor, dtype=np.float32) / np.float32(factor)).reshape(1, -1, *[1] * (values.ndim - 1))
    between = values[:-1, None] * (1 - weights) + values[1:, None] * weights
    refined = np.concatenate([between.reshape(-1, *values.shape[1:]), values[-1:]])
    return np.ascontiguousarray(np.moveaxis(refined, 0, axis))
