"""Which face each ray of an image meets first, and where in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.masks import NEAR, SUPERSAMPLING, Window, project

NOTHING = -1


class SurfaceBuffer(NamedTuple):
    """What the rays of a window meet, :data:`SUPERSAMPLING` x size of them a row.

    Attributes:
        depths: Depth of the nearest surface, (n, n); infinite where there is none.
        faces: Its number, counted through all meshes, (n, n); :data:`NOTHING` where there is none.
        weights: Barycentric coordinates of the point on it, of the surface and not of its image, (n, n, 3).
    """

    depths: NDArray[np.float32]
    faces: NDArray[np.int64]
    weights: NDArray[np.float32]


def surface_buffer(meshes: Sequence[Mesh], camera: Camera, window: Window) -> SurfaceBuffer:
    """Find what the rays of a window meet; depths are those of ``renderer.masks.depth_buffer``.

    Args:
        meshes: The surfaces.
        camera: The camera.
        window: Which part of its image.
    """
    fine = Window(*(value * SUPERSAMPLING for value in window))
    depths = np.full((fine.size, fine.size), np.inf, np.float32)
    faces = np.full(depths.shape, NOTHING, np.int64)
    weights = np.zeros((*depths.shape, 3), np.float32)
    first = 0
    for mesh in meshes:
        _fill(depths, faces, weights, project(mesh.vertices, camera, fine), mesh.faces, first)
        first += len(mesh.faces)
    return SurfaceBuffer(depths, faces, weights)


@njit(cache=True)
def _fill(
    depths: NDArray[Any],
    numbers: NDArray[Any],
    weights: NDArray[Any],
    corners: NDArray[Any],
    faces: NDArray[Any],
    first: int,
) -> None:
    """Draw triangles: nearest wins; a corner's weight in the image over its depth is its weight on the surface."""
    size = depths.shape[0]
    for face in range(faces.shape[0]):
        a, b, c = corners[faces[face, 0]], corners[faces[face, 1]], corners[faces[face, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0 or min(a[2], b[2], c[2]) <= NEAR:
            continue
        left = max(int(np.ceil(min(a[0], b[0], c[0]) - 0.5)), 0)
        right = min(int(np.floor(max(a[0], b[0], c[0]) - 0.5)), size - 1)
        top = max(int(np.ceil(min(a[1], b[1], c[1]) - 0.5)), 0)
        bottom = min(int(np.floor(max(a[1], b[1], c[1]) - 0.5)), size - 1)
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
                v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
                w = 1 - u - v
                if u >= 0 and v >= 0 and w >= 0:
                    depth = 1 / (u / a[2] + v / b[2] + w / c[2])
                    if depth < depths[row, column]:
                        depths[row, column] = depth
                        numbers[row, column] = first + face
                        weights[row, column, 0] = u / a[2] * depth
                        weights[row, column, 1] = v / b[2] * depth
                        weights[row, column, 2] = w / c[2] * depth
