"""Triangle meshes as arrays, and what is done with them: build from grids, turn outwards, copy, merge, measure."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.vectors import FloatArray, dot, unit

IndexArray = NDArray[np.uint32]


class Mesh(NamedTuple):
    """Triangles of one surface.

    Attributes:
        vertices: (V, 3) float32.
        normals: (V, 3) float32, of length one.
        faces: (F, 3) uint32, counter-clockwise seen from outside.
        colors: (V, 3) float32, linear RGB in [0, 1], or None.
    """

    vertices: FloatArray
    normals: FloatArray
    faces: IndexArray
    colors: FloatArray | None = None


def vertex_normals(vertices: NDArray[Any], faces: NDArray[Any]) -> NDArray[np.float64]:
    """Mean of the normals of the faces around each vertex, weighted by area: (V, 3)."""
    points = np.asarray(vertices, np.float64)
    corners = points[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    sums = [np.bincount(faces.ravel(), np.repeat(across[:, axis], 3), len(points)) for axis in range(3)]
    return unit(np.stack(sums, -1))


def signed_volume(mesh: Mesh) -> float:
    """Volume of a closed mesh: positive where its faces look outwards."""
    corners = mesh.vertices.astype(np.float64)[mesh.faces] - mesh.vertices.mean(0, dtype=np.float64)
    return float(dot(corners[:, 0], np.cross(corners[:, 1], corners[:, 2])).sum() / 6)


def outwards(mesh: Mesh) -> Mesh:
    """Turn faces and normals to the outside, as renderers of metal need; the mesh must be (nearly) closed."""
    faces = mesh.faces if signed_volume(mesh) >= 0 else mesh.faces[:, ::-1]
    corners = mesh.vertices[faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    agree = dot(across, mesh.normals[faces].sum(1)).sum() >= 0
    return mesh._replace(faces=np.ascontiguousarray(faces), normals=mesh.normals if agree else -mesh.normals)


def grid_mesh(points: NDArray[Any], closed: tuple[bool, bool] = (False, False)) -> Mesh:
    """Two triangles for each cell of a grid of points.

    Args:
        points: (N, M, 3).
        closed: Whether the last row joins the first, and the last column the first.
    """
    rows, columns = points.shape[:2]
    row, column = np.meshgrid(
        np.arange(rows if closed[0] else rows - 1), np.arange(columns if closed[1] else columns - 1), indexing="ij"
    )
    below, right = (row + 1) % rows, (column + 1) % columns
    corners = [row * columns + column, below * columns + column, below * columns + right, row * columns + right]
    first, second, third, fourth = (corner.ravel() for corner in corners)
    faces = np.concatenate([np.stack([first, second, third], -1), np.stack([first, third, fourth], -1)])
    vertices = points.reshape(-1, 3)
    return _mesh(vertices, vertex_normals(vertices, faces), faces)


def merge(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of several, without their colours."""
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes)])
    faces = [mesh.faces.astype(np.int64) + offset for mesh, offset in zip(meshes, offsets[:-1], strict=True)]
    return _mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.normals for mesh in meshes]),
        np.concatenate(faces),
    )


def copies(mesh: Mesh, positions: NDArray[Any], axes: NDArray[Any], scales: NDArray[Any]) -> Mesh:
    """Many copies of a mesh as one.

    Args:
        mesh: What is copied.
        positions: (N, 3) where the copies' origins go.
        axes: (N, 3, 3) whose columns are the images of x, y and z: orthonormal, right- or left-handed.
        scales: (N, 3) factors along the mesh's own x, y and z: positive.
    """
    count = len(positions)
    vertices = np.einsum("nij,vj->nvi", axes * scales[:, None, :], mesh.vertices) + positions[:, None]
    normals = unit(np.einsum("nij,vj->nvi", axes / scales[:, None, :], mesh.normals))
    faces = mesh.faces[None].astype(np.int64) + (np.arange(count) * len(mesh.vertices))[:, None, None]
    mirrored = np.linalg.det(axes) < 0
    faces[mirrored] = faces[mirrored][..., ::-1]
    return _mesh(vertices.reshape(-1, 3), normals.reshape(-1, 3), faces.reshape(-1, 3))


def moved(mesh: Mesh, origin: NDArray[Any], axes: NDArray[Any]) -> Mesh:
    """The mesh in a frame given by its origin (3,) and its axes (3, 3), orthonormal columns."""
    one = copies(mesh, np.asarray(origin)[None], np.asarray(axes)[None], np.ones((1, 3)))
    return one._replace(colors=mesh.colors)


def _mesh(vertices: NDArray[Any], normals: NDArray[Any], faces: NDArray[Any]) -> Mesh:
    return Mesh(
        np.ascontiguousarray(vertices, np.float32),
        np.ascontiguousarray(normals, np.float32),
        np.ascontiguousarray(faces, np.uint32),
    )
