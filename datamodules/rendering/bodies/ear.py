"""One side of a head with its ear.

The ear is at the origin and about one unit high (6.5 cm); x points to the face, y out of the head, z up.
"""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from datamodules.rendering.bodies.body import Body
from datamodules.rendering.bodies.hair import draw_side_hair
from datamodules.rendering.bodies.skin import Pigment, draw_pigment
from datamodules.rendering.geometry.fields import evaluate, sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh, merge
from datamodules.rendering.geometry.sdf import Distance, capsule, carve, ellipsoid, into_frame, rods, smooth_union
from datamodules.rendering.geometry.vectors import FloatArray, Points, Vector, X, Y, Z, rotation

HELIX = np.array(
    [
        [0.10, 0.00, -0.02, 0.03],
        [0.19, 0.02, 0.08, 0.04],
        [0.215, 0.03, 0.22, 0.045],
        [0.17, 0.05, 0.36, 0.045],
        [0.06, 0.06, 0.455, 0.045],
        [-0.08, 0.065, 0.48, 0.045],
        [-0.20, 0.06, 0.43, 0.045],
        [-0.285, 0.06, 0.31, 0.045],
        [-0.32, 0.06, 0.15, 0.043],
        [-0.305, 0.055, -0.02, 0.04],
        [-0.255, 0.045, -0.17, 0.037],
        [-0.20, 0.03, -0.28, 0.035],
        [-0.14, 0.015, -0.37, 0.035],
    ]
)
ANTIHELIX = np.array(
    [
        [0.03, 0.035, 0.32, 0.03],
        [-0.10, 0.045, 0.26, 0.04],
        [-0.185, 0.05, 0.12, 0.045],
        [-0.19, 0.05, -0.04, 0.045],
        [-0.14, 0.045, -0.17, 0.04],
        [-0.06, 0.04, -0.245, 0.04],
    ]
)
BRANCH = np.array([[0.08, 0.03, 0.22, 0.025], [-0.03, 0.04, 0.22, 0.03], [-0.13, 0.045, 0.16, 0.03]])
JAW = np.array([[0.08, -0.22, -0.15], [0.14, -0.34, -0.78], [0.85, -0.78, -1.22], [1.65, -1.2, -1.42]])
CENTER = np.array([-0.02, 0.13, 0.0])
FINE_LOW, FINE_HIGH = np.array([-0.62, -0.28, -0.75]), np.array([0.55, 0.50, 0.75])
SEAM = 0.04
SEAMLESS = 0.004


@dataclass(frozen=True, eq=False)
class EarSide(Body):
    """One side of a head.

    Attributes:
        lobe: (3,) middle of the lobe.
        piercing: (3,) on the skin of the lobe, where an earring goes through.
        outside: (3,) direction out of the ear.
        forward: (3,) direction along the ear to the face.
    """

    lobe: Vector
    piercing: Vector
    outside: Vector
    forward: Vector


@dataclass(frozen=True, eq=False)
class EarShape:
    """What is drawn about an ear; ``turn`` are its axes."""

    size: float
    lobe: float
    turn: Vector

    def place(self, point: Vector) -> Vector:
        """From the ear's own axes to those of the head."""
        return np.asarray(CENTER + self.size * (self.turn @ point))


def draw_ear_side(rng: np.random.Generator, step: float) -> EarSide:
    """Draw one side of a head with hair; ``step`` is that of the grid on which the ear is found."""
    flare, tilt = rng.uniform(0.25, 0.5), rng.uniform(0.05, 0.25)
    turn = rotation(Z, flare) @ rotation(Y, -tilt)
    shape = EarShape(rng.uniform(0.92, 1.08), rng.uniform(0.85, 1.2), turn)
    head, ear = _head(shape), _ear(shape)

    def distance(points: FloatArray) -> FloatArray:
        return smooth_union(head(points), ear(points), 0.045)

    skin = merge([_fine_part(distance, step), _coarse_part(head, 2.4 * step)])
    near = sample_field(distance, np.array([-1.1, -0.9, -2.3]), np.array([1.3, 0.9, 0.8]), 2.4 * step)
    hair, style = draw_side_hair(rng, head, 2.4 * step)
    lobe, outside = shape.place(np.array([-0.045, 0.0, -0.42])), turn @ Y
    drawn = {"flare": flare, "ear_tilt": tilt, "lobe": shape.lobe}
    return EarSide(
        surfaces={"skin": skin, "hair": hair},
        pigment=_pigment(rng, skin, shape),
        field=near,
        info={**{name: round(value, 4) for name, value in drawn.items()}, "hair": style},
        lobe=lobe,
        piercing=_descend(distance, lobe + 0.3 * outside, outside),
        outside=outside,
        forward=turn @ X,
    )


def _fine_part(distance: Distance, step: float) -> Mesh:
    return surface_mesh(sample_field(distance, FINE_LOW, FINE_HIGH, step), distance)


def _coarse_part(head: Distance, step: float) -> Mesh:
    """The head without the ear, left open where the fine part covers it with some overlap."""
    low, high = np.array([-2.3, -2.4, -3.2]), np.array([2.2, 0.3, 2.4])
    mesh = surface_mesh(sample_field(head, low, high, step), head)
    centers = mesh.vertices[mesh.faces].mean(1)
    covered = np.all((centers > FINE_LOW + SEAM) & (centers < FINE_HIGH - SEAM), axis=1)
    return mesh._replace(faces=mesh.faces[~covered])


def _descend(distance: Distance, point: Vector, outside: Vector) -> Vector:
    for _ in range(30):
        point = point - 0.8 * max(float(evaluate(distance, point[None])[0]), 0.0) * outside
    return point


def _ear(shape: EarShape) -> Distance:
    helix, antihelix, branch = _smoothed(HELIX), _smoothed(ANTIHELIX), BRANCH
    lobe = 0.125 * shape.lobe

    def distance(points: FloatArray) -> FloatArray:
        local = into_frame(points, CENTER, shape.turn) / np.float32(shape.size)
        ear = ellipsoid(local, [-0.05, -0.03, 0.06], [0.255, 0.042, 0.415])
        ear = smooth_union(ear, ellipsoid(local, [-0.045, -0.01, -0.40], [lobe, 0.05, lobe]), 0.10)
        ear = smooth_union(ear, rods(local, antihelix[:, :3], antihelix[:, 3], SEAMLESS), 0.05)
        ear = smooth_union(ear, rods(local, branch[:, :3], branch[:, 3], 0.02), 0.04)
        ear = carve(ear, ellipsoid(local, [0.0, 0.075, -0.03], [0.125, 0.115, 0.165]), 0.05)
        ear = smooth_union(ear, rods(local, helix[:, :3], helix[:, 3], SEAMLESS), 0.022)
        ear = smooth_union(ear, ellipsoid(local, [0.135, 0.015, -0.085], [0.05, 0.05, 0.085]), 0.04)
        ear = smooth_union(ear, ellipsoid(local, [-0.03, 0.03, -0.255], [0.055, 0.045, 0.05]), 0.04)
        return ear * np.float32(shape.size)

    return distance


def _head(shape: EarShape) -> Distance:
    root = shape.place(np.array([0.02, -0.16, -0.12])), shape.place(np.array([0.0, -0.16, 0.22]))

    def distance(points: FloatArray) -> FloatArray:
        head = ellipsoid(points, [-0.25, -1.18, 0.75], [1.62, 1.17, 1.75])
        head = smooth_union(head, ellipsoid(points, [0.95, -1.2, -0.15], [0.80, 0.98, 1.25]), 0.4)
        head = smooth_union(head, rods(points, JAW, [0.12, 0.16, 0.20, 0.30], 0.3), 0.5)
        head = smooth_union(head, capsule(points, [-0.45, -1.22, -0.2], [-0.75, -1.28, -2.9], 0.82, 0.86), 0.28)
        head = smooth_union(head, capsule(points, [-0.18, -0.42, -0.35], [0.1, -0.9, -2.9], 0.13, 0.12), 0.22)
        head = smooth_union(head, ellipsoid(points, [-0.5, -1.3, -3.5], [1.6, 1.9, 0.95]), 0.5)
        return smooth_union(head, capsule(points, *root, 0.13, 0.13), 0.10)

    return distance


def _smoothed(ridge: Vector, factor: int = 3) -> Vector:
    places = np.linspace(0, len(ridge) - 1, (len(ridge) - 1) * factor + 1)
    return np.asarray(CubicSpline(np.arange(len(ridge)), ridge)(places))


def _pigment(rng: np.random.Generator, skin: Mesh, shape: EarShape) -> Pigment:
    local = (skin.vertices - CENTER) @ shape.turn / shape.size

    def around(points: Points, center: list[float], reach: list[float], power: int) -> Vector:
        return np.asarray(np.exp(-(np.linalg.norm((points - center) / reach, axis=1) ** power)))

    blush = 0.9 * around(local, [-0.05, 0, 0.05], [0.42, 0.25, 0.6], 4)
    blush += 0.5 * around(skin.vertices, [1.1, -0.3, -0.25], [0.45, 0.5, 0.4], 2)
    canal = 0.75 * around(local, [0.075, 0.0, -0.05], [0.055, 0.09, 0.07], 4)
    return draw_pigment(rng, skin.vertices, blush.astype(np.float32), shade=canal)
