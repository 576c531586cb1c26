"""Hair as a volume with grooves along its strands."""

import numpy as np

from datamodules.rendering.geometry.fields import sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.sdf import (
    Distance,
    capsule,
    carve,
    ellipsoid,
    into_frame,
    mirrored,
    smooth_intersection,
    smooth_union,
    stretch,
)
from datamodules.rendering.geometry.vectors import FloatArray, Vector

LAYER = 0.05
ENDS = {"long": -1.6, "bob": 0.1, "up": 1.0}


def draw_back_hair(rng: np.random.Generator, head: Vector, turn: Vector, step: float) -> tuple[Mesh, str]:
    """Hair around a head (centre (3,), axes (3, 3)) that is seen from the front, and the name of its style."""
    style = str(rng.choice(list(ENDS)))

    def distance(points: FloatArray) -> FloatArray:
        local = into_frame(points, head, turn)
        hair = ellipsoid(local, [0, -0.17, 0.47], [0.84, 1.0, 1.04])
        hair = carve(hair, ellipsoid(local, [0, 0.85, -0.15], [0.72, 0.85, 0.95]), 0.12)
        if style == "up":
            hair = smooth_intersection(hair, -(local[2] + 0.55) * 0.9, 0.1)
            hair = smooth_union(hair, ellipsoid(local, [0, -1.0, 0.75], [0.38, 0.36, 0.36]), 0.12)
        else:
            half = stretch(mirrored(points), [1, 1.5, 1])
            fall = capsule(half, [0.40, -0.95, head[2] + 0.2], [0.52, -1.15, ENDS[style]], 0.46, 0.34)
            hair = smooth_union(hair, fall * np.float32(0.8), 0.3)
        return hair + _strands(local)

    low, high = np.array([-1.5, -1.75, -2.2]), np.array([1.5, 1.2, head[2] + 1.7])
    return surface_mesh(sample_field(distance, low, high, step), distance), style


def draw_side_hair(rng: np.random.Generator, head: Distance, step: float) -> tuple[Mesh, str]:
    """Hair on a head that is seen from the side, which leaves the ear free, and the name of its style."""
    style = str(rng.choice(["updo", "loose"]))
    gap = rng.uniform(0.28, 0.5)
    wave, bend, phase = rng.uniform(14, 20), rng.uniform(1.2, 2.5), rng.uniform(0, 6)

    def distance(points: FloatArray) -> FloatArray:
        below_nape = -(points[2] + 0.75 + 0.5 * (points[0] + 0.4))
        before_ear = (points[0] + 0.3 - 0.9 * (points[2] + 0.15)) / 1.35
        beyond = np.maximum(below_nape, before_ear)
        layer = smooth_intersection(head(points) - np.float32(LAYER), beyond, 0.08)
        hair = smooth_union(layer, ellipsoid(points, [-0.42, -1.18, 0.90], [1.66, 1.26, 1.75]), 0.1)
        hair = carve(hair, ellipsoid(points, [1.25, -0.6, -0.25], [1.35, 1.2, 1.75]), 0.12)
        hair = carve(hair, ellipsoid(points, [0.05, 0.05, -0.10], [gap, 0.7, 0.56]), 0.10)
        if style == "updo":
            hair = smooth_intersection(hair, beyond, 0.08)
            hair = smooth_union(hair, ellipsoid(points, [-1.95, -1.2, 0.75], [0.55, 0.6, 0.6]), 0.15)
        else:
            hair = smooth_union(hair, capsule(points, [-1.35, -1.0, 0.3], [-1.5, -1.0, -2.9], 0.62, 0.50), 0.35)
        flow = points[2] * 0.8 - points[0] * (0.9 if style == "updo" else 0.35)
        broad = 0.6 * np.cos(0.9 * wave * flow + bend * np.cos(1.7 * points[0] + phase))
        middle = 0.4 * np.cos(2.7 * wave * flow + 3 * np.cos(2.3 * points[1] + phase))
        fine = 0.5 * np.cos(5.1 * wave * flow + phase)
        return np.asarray(hair + 0.010 * (broad + middle + fine), np.float32)

    low, high = np.array([-2.9, -2.6, -3.1]), np.array([1.6, 0.6, 2.9])
    return surface_mesh(sample_field(distance, low, high, step), distance), style


def _strands(points: FloatArray) -> FloatArray:
    x, y, z = points
    broad = np.cos(26 * x + 3 * z + 2.0 * np.cos(3 * z)) * np.cos(19 * y + 2 * z)
    fine = np.cos(61 * x + 4 * z + 3.0 * np.cos(2 * z)) * np.cos(47 * y - 3 * z)
    return np.asarray(0.012 * broad + 0.004 * fine, np.float32)
