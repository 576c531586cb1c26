"""Which face each ray of an image meets first, and where in it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.masks import SUPERSAMPLING, Window, project
from datamodules.rendering.renderer.rasterization import rasterize

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
        rasterize(depths, project(mesh.vertices, camera, fine), mesh.faces, faces, weights, first)
        first += len(mesh.faces)
    return SurfaceBuffer(depths, faces, weights)
