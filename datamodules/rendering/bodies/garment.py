"""A top: the torso, a little larger, cut out at the neck."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.bodies.clipping import Cut, clip, hem
from datamodules.rendering.geometry.fields import DistanceField, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh, merge
from datamodules.rendering.geometry.sdf import Distance, smooth_intersection
from datamodules.rendering.geometry.vectors import FloatArray, Points

OFFSET = 0.045
HEM = 0.026
NECKLINES: dict[str, tuple[float, float]] = {
    "scoop": (-1.55, -1.15),
    "v": (-1.75, -1.35),
    "boat": (-0.95, -0.80),
    "strap": (-1.60, -1.35),
}


@dataclass(frozen=True, eq=False)
class Garment:
    """A top.

    Attributes:
        mesh: Of the cloth and its hems.
        field: Distance to torso and cloth together.
        neckline: Its name.
    """

    mesh: Mesh
    field: DistanceField
    neckline: str


def draw_garment(rng: np.random.Generator, torso: DistanceField, distance: Distance) -> Garment:
    """Dress a torso.

    Args:
        rng: Draws the neckline and the folds.
        torso: Its sampled distance.
        distance: The distance itself, for the normals.
    """
    neckline = str(rng.choice(list(NECKLINES)))
    cut = neckline_cut(neckline, float(rng.uniform(*NECKLINES[neckline])))
    folds = _folds(rng)

    def cloth(points: FloatArray) -> FloatArray:
        return distance(points) - np.float32(OFFSET) - folds(points)

    nodes = _nodes(torso)
    values = torso.values - np.float32(OFFSET) - folds(nodes).reshape(torso.values.shape)
    mesh = surface_mesh(_below(replace(torso, values=values), 0.35), cloth)
    clipped, borders = clip(mesh, cut)
    hems = [hem(border, HEM, 0.7 * torso.step) for border in borders]
    cover = smooth_intersection(values, 0.6 * cut(nodes.T).astype(np.float32).reshape(values.shape), 0.03)
    field = replace(torso, values=np.minimum(torso.values, cover - np.float32(HEM / 2)))
    return Garment(merge([clipped, *hems]), field, neckline)


def neckline_cut(neckline: str, depth: float) -> Cut:
    """How far points (N, 3) lie above the edge of a top: (N,), negative where there is cloth.

    Args:
        neckline: "scoop", "v", "boat" or "strap".
        depth: Height of the edge in the middle, below the base of the neck.
    """
    edge = EDGES[neckline]

    def cut(points: Points) -> NDArray[Any]:
        return np.asarray(points[..., 2] - edge(np.abs(np.asarray(points[..., 0], np.float64)), depth))

    return cut


def _curved(width: float) -> Callable[[NDArray[Any], float], NDArray[Any]]:
    return lambda x, depth: depth + (abs(depth) - 0.15) * (x / width) ** 2.6


def _pointed(x: NDArray[Any], depth: float) -> NDArray[Any]:
    return np.asarray(depth + 1.6 * np.sqrt(x * x + 0.002))


def _straps(x: NDArray[Any], depth: float) -> NDArray[Any]:
    """Rise steeply to the inner side of the strap, and fall outside of it to the arm hole."""
    rise = 1 / (1 + np.exp(-(x - 1.08) / 0.035))
    fall = 1 / (1 + np.exp(-(x - 1.42) / 0.035))
    return np.asarray(depth + 0.25 * np.minimum(x, 1.2) ** 4 + 2.2 * rise - 2.6 * fall)


EDGES: dict[str, Callable[[NDArray[Any], float], NDArray[Any]]] = {
    "scoop": _curved(1.05),
    "boat": _curved(1.5),
    "v": _pointed,
    "strap": _straps,
}


def _folds(rng: np.random.Generator) -> Distance:
    waves = (rng.normal(size=(6, 3)) * [2.2, 1.2, 1.4]).astype(np.float32)
    phases = rng.uniform(0, 6, 6).astype(np.float32)

    def folds(points: FloatArray) -> FloatArray:
        terms = [
            np.cos(x * points[0] + y * points[1] + z * points[2] + phase)
            for (x, y, z), phase in zip(waves, phases, strict=True)
        ]
        return np.asarray(sum(terms) * np.float32(0.006), np.float32)

    return folds


def _nodes(field: DistanceField) -> FloatArray:
    axes = [
        field.low[i] + np.float32(field.step) * np.arange(size, dtype=np.float32)
        for i, size in enumerate(field.values.shape)
    ]
    return np.stack(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)


def _below(field: DistanceField, height: float) -> DistanceField:
    count = int((height - field.low[2]) / field.step)
    return replace(field, values=np.ascontiguousarray(field.values[:, :, :count]))
