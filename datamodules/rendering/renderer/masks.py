"""Exact masks: which pixels an ornament covers, and which of them are seen, from a depth buffer over all triangles.

Compiled code of a few milliseconds, that needs neither light nor Mitsuba; so a triplet that shows too little of its
ornament is thrown away before anything is rendered.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.appearance.materials import is_sharp
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import Vector, unit
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.rasterization import NEAR, rasterize

SUPERSAMPLING = 4
HALF = 127 / 255

Coverage = NDArray[np.float32]


class Window(NamedTuple):
    """A square part of the whole image, in pixels of a whole of ``whole`` x ``whole``.

    Attributes:
        x: Left border.
        y: Upper border.
        size: Width and height.
        whole: Width and height of the whole image.
    """

    x: int
    y: int
    size: int
    whole: int


class Masks(NamedTuple):
    """What an ornament covers, each (size, size) in [0, 1].

    Attributes:
        visible: Its part that is seen.
        full: All of it, as if nothing were in front.
        sharp: The part that is seen of metal and cut stones.
    """

    visible: Coverage
    full: Coverage
    sharp: Coverage

    @property
    def visible_fraction(self) -> float:
        """How much of the ornament is seen, in [0, 1]; 0 where it is outside of the window."""
        return float(min(self.visible.sum() / max(float(self.full.sum()), 1e-6), 1.0))


def camera_frame(camera: Camera) -> tuple[Vector, Vector]:
    """Where a camera is, (3,), and its right, up and forward directions as rows of (3, 3)."""
    forward = -unit(camera.direction)
    right = unit(np.cross(forward, camera.up))
    distance = camera.width / 2 / np.tan(np.radians(camera.fov / 2))
    return camera.target - forward * distance, np.stack([right, np.cross(right, forward), forward])


def project(points: NDArray[Any], camera: Camera, window: Window) -> NDArray[np.float32]:
    """Where points are seen.

    Args:
        points: (V, 3).
        camera: The camera.
        window: Which part of its image.

    Returns:
        (V, 3): pixels from the window's left and upper border, and the depth along the line of sight.
    """
    origin, axes = camera_frame(camera)
    local = (np.asarray(points, np.float64) - origin) @ axes.T
    depth = local[:, 2]
    scale = window.whole / 2 / np.tan(np.radians(camera.fov / 2)) / np.maximum(depth, NEAR)
    x = window.whole / 2 + local[:, 0] * scale - window.x
    y = window.whole / 2 - local[:, 1] * scale - window.y
    return np.stack([x, y, depth], -1).astype(np.float32)


def draw_masks(ornament: Mapping[str, Mesh], body: Mapping[str, Mesh], camera: Camera, window: Window) -> Masks:
    """Masks of an ornament that is worn, or lies alone.

    Args:
        ornament: Meshes by material.
        body: What may hide it.
        camera: The camera.
        window: Which part of its image.
    """
    blunt = depth_buffer((mesh for name, mesh in ornament.items() if not is_sharp(name)), camera, window)
    sharp = depth_buffer((mesh for name, mesh in ornament.items() if is_sharp(name)), camera, window)
    nearest = np.minimum(blunt, sharp)
    seen = nearest < depth_buffer(body.values(), camera, window)
    return Masks(_shrink(seen), _shrink(np.isfinite(nearest)), _shrink(seen & (sharp <= blunt)))


def depth_buffer(meshes: Iterable[Mesh], camera: Camera, window: Window) -> NDArray[np.float32]:
    """Depth of the nearest surface at :data:`SUPERSAMPLING` x size rays a row, infinite where there is none."""
    fine = Window(*(value * SUPERSAMPLING for value in window))
    depths = np.full((fine.size, fine.size), np.inf, np.float32)
    for mesh in meshes:
        rasterize(depths, project(mesh.vertices, camera, fine), mesh.faces)
    return depths


def extent(mask: Coverage, threshold: float = HALF) -> tuple[int, int, int, int] | None:
    """Box [x0, y0, x1, y1) of the pixels above a threshold; None where there are none."""
    rows, columns = np.nonzero(mask > threshold)
    if len(rows) == 0:
        return None
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def _shrink(fine: NDArray[np.bool_]) -> Coverage:
    size = len(fine) // SUPERSAMPLING
    shares = fine.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING).mean((1, 3))
    return np.asarray(shares, np.float32)
