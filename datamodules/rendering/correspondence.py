"""Which point of the ornament's image each worn pixel shows, exactly: worn and laid meshes are the same triangles."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.composition import Composition
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import dot
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.masks import SUPERSAMPLING, Window, depth_buffer, project
from datamodules.rendering.renderer.surface_buffer import NOTHING, surface_buffer
from datamodules.samples.correspondence import PixelCorrespondence

SLACK = 0.5


def correspond(composition: Composition) -> PixelCorrespondence:
    """Find the correspondence of a triplet; nothing is rendered, a few hundredths of a second.

    A point counts as seen in the ornament's image where nothing lies before it there but its own part, by its own
    thickness: the back of a thin wire looks like its front. In a pixel that shows points of both kinds, those that are
    seen make the mean.

    Args:
        composition: The triplet.

    Returns:
        The correspondence of its images, mirrored where they are. ``known`` is the wearing mask.

    Raises:
        ValueError: If the ornament that is worn does not have the faces of the one that is laid.
    """
    worn, laid = composition.worn, composition.laid
    _check_same(worn.ornament, laid.ornament)
    buffer = surface_buffer(list(worn.ornament.values()), worn.camera, composition.window)
    nearest = buffer.depths < depth_buffer(worn.body.values(), worn.camera, composition.window)
    known = nearest & (buffer.faces != NOTHING)
    corners = np.concatenate([mesh.vertices[mesh.faces] for mesh in laid.ornament.values()])[buffer.faces[known]]
    points = project((corners * buffer.weights[known][..., None]).sum(1), laid.camera, composition.laid_window)
    seen = _seen(points, list(laid.ornament.values()), laid.camera, composition.laid_window)
    inside = points[:, :2].clip(0, composition.laid_window.size)
    correspondence = _pool(inside, known, seen & (inside == points[:, :2]).all(1))
    return _mirrored(correspondence) if composition.mirrored else correspondence


def _check_same(worn: dict[str, Mesh], laid: dict[str, Mesh]) -> None:
    alike = list(worn) == list(laid) and all(np.array_equal(worn[name].faces, laid[name].faces) for name in worn)
    if not alike:
        raise ValueError(
            "the ornament that is worn must have the materials and faces of the one that is laid, got "
            f"{ {name: len(mesh.faces) for name, mesh in worn.items()} } and "
            f"{ {name: len(mesh.faces) for name, mesh in laid.items()} } faces; pose must only move vertices"
        )


def _seen(points: NDArray[Any], meshes: list[Mesh], camera: Camera, window: Window) -> NDArray[np.bool_]:
    """Whether points, (M, 3) as :func:`project` gives them, lie before where their ray leaves the first part it meets.

    Half a pixel of slack, since a ray is not exactly the point's.
    """
    leaving = depth_buffer([_turned_away(mesh, camera, window) for mesh in meshes], camera, window)
    ray = (points[:, :2] * SUPERSAMPLING).astype(np.int64).clip(0, len(leaving) - 1)
    pixel = points[:, 2] * 2 * np.tan(np.radians(camera.fov / 2)) / window.whole
    return np.asarray(points[:, 2] <= leaving[ray[:, 1], ray[:, 0]] + SLACK * pixel)


def _turned_away(mesh: Mesh, camera: Camera, window: Window) -> Mesh:
    """The faces of a mesh whose back the camera sees: clockwise in the image, whose y points down."""
    a, b, c = np.moveaxis(project(mesh.vertices, camera, window)[mesh.faces, :2], 1, 0)
    return mesh._replace(faces=mesh.faces[_cross(b - a, c - a) > 0])


def _cross(first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(dot(first, second[:, ::-1] * [1, -1]))


def _pool(points: NDArray[Any], known: NDArray[np.bool_], seen: NDArray[np.bool_]) -> PixelCorrespondence:
    """Mean over the rays of each pixel: those of points that are seen where there are any, else all that are known.

    Args:
        points: (M, 2) of the rays that are known, in their order.
        known: (n, n), M times true.
        seen: (M,).
    """
    fine = np.zeros((*known.shape, 4), np.float32)
    fine[known] = np.concatenate([points, np.ones((len(points), 1)), seen[:, None]], 1)
    everything, visible = _shrink(fine * fine[..., 2:3]), _shrink(fine * fine[..., 3:])
    sums = np.where(visible[..., 3:] > 0, visible, everything)
    means = np.divide(sums[..., :2], sums[..., 2:3], out=np.zeros_like(sums[..., :2]), where=sums[..., 2:3] > 0)
    return PixelCorrespondence(means, everything[..., 2], visible[..., 3])


def _shrink(fine: NDArray[np.float32]) -> NDArray[np.float32]:
    size = len(fine) // SUPERSAMPLING
    blocks = fine.reshape(size, SUPERSAMPLING, size, SUPERSAMPLING, fine.shape[-1])
    return np.asarray(blocks.mean((1, 3)), np.float32)


def _mirrored(correspondence: PixelCorrespondence) -> PixelCorrespondence:
    """Mirror both images; the ornament's is as wide as the person's."""
    points, known, seen = (array[:, ::-1].copy() for array in correspondence)
    points[..., 0] = np.where(known > 0, points.shape[1] - points[..., 0], 0)
    return PixelCorrespondence(points, known, seen)
