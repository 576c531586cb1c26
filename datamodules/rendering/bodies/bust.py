"""Neck, shoulders and head of somebody in a top.

The base of the neck is at the origin, x points to one side, y to the front, z up; one unit is about 10 cm.
"""

from dataclasses import dataclass

import numpy as np

from datamodules.rendering.bodies.body import Body
from datamodules.rendering.bodies.garment import draw_garment
from datamodules.rendering.bodies.hair import draw_back_hair
from datamodules.rendering.bodies.skin import Pigment, draw_pigment
from datamodules.rendering.geometry.fields import sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.sdf import (
    Distance,
    capsule,
    carve,
    ellipsoid,
    into_frame,
    mirrored,
    rods,
    smooth_union,
)
from datamodules.rendering.geometry.vectors import FloatArray, Vector, X, Y, Z, rotation

CLAVICLE = np.array(
    [[0.16, 0.33, -0.46], [0.45, 0.37, -0.43], [0.80, 0.27, -0.38], [1.25, 0.03, -0.36], [1.62, -0.2, -0.42]]
)
JAW = np.array([[0.56, -0.20, -0.12], [0.50, 0.02, -0.52], [0.14, 0.66, -0.74], [-0.05, 0.70, -0.74]])


@dataclass(frozen=True, eq=False)
class Bust(Body):
    """Neck, shoulders and head.

    Attributes:
        neck_radius: Of the neck.
    """

    neck_radius: float


@dataclass(frozen=True, eq=False)
class BustShape:
    """What is drawn about a bust."""

    slim: float
    neck_length: float
    shoulder: float
    drop: float
    head: Vector
    turn: Vector

    @property
    def neck_radius(self) -> float:
        """Radius of the neck."""
        return 0.515 * self.slim

    def from_head(self, point: Vector) -> Vector:
        """From the axes of the head to those of the bust."""
        return np.asarray(self.head + self.turn @ point)


def draw_bust(rng: np.random.Generator, step: float) -> Bust:
    """Draw a bust with hair and a top; ``step`` is that of the grid on which the skin is found."""
    turn, tilt, lean = rng.uniform(-0.35, 0.35), rng.uniform(-0.02, 0.18), rng.uniform(-0.12, 0.12)
    slim, neck_length = rng.uniform(0.9, 1.05), rng.uniform(0.95, 1.15)
    shape = BustShape(
        slim,
        neck_length,
        rng.uniform(1.75, 1.95) * slim,
        rng.uniform(0.55, 0.72),
        np.array([0.0, 0.10, neck_length + 0.95]),
        rotation(Z, turn) @ rotation(X, tilt) @ rotation(Y, lean),
    )
    distance = _distance(shape)
    grid = sample_field(distance, np.array([-2.2, -1.1, -2.0]), np.array([2.2, 1.4, neck_length + 1.35]), step)
    skin = surface_mesh(grid, distance)
    garment = draw_garment(rng, grid, distance)
    hair, style = draw_back_hair(rng, shape.head, shape.turn, 0.7 * step)
    posture = {"turn": turn, "tilt": tilt, "lean": lean, "slim": slim}
    return Bust(
        surfaces={"skin": skin, "hair": hair, "cloth": garment.mesh},
        pigment=_pigment(rng, skin, shape),
        field=garment.field,
        info={**{name: round(value, 4) for name, value in posture.items()}, "garment": garment.neckline, "hair": style},
        neck_radius=shape.neck_radius,
    )


def _distance(shape: BustShape) -> Distance:
    muscles = [([side * 0.13, 0.30, -0.40], shape.from_head(np.array([side * 0.56, -0.18, -0.42]))) for side in (-1, 1)]

    def distance(points: FloatArray) -> FloatArray:
        solid = _torso(points, shape)
        for start, end in muscles:
            solid = smooth_union(solid, capsule(points, start, end, 0.075, 0.12), 0.13)
        larynx = capsule(points, [0, 0.34, 0.16], [0, 0.48, 0.62 * shape.neck_length], 0.14, 0.16)
        solid = smooth_union(solid, larynx, 0.28)
        return smooth_union(solid, _head(into_frame(points, shape.head, shape.turn)), 0.16)

    return distance


def _torso(points: FloatArray, shape: BustShape) -> FloatArray:
    neck, shoulder, drop = shape.neck_radius, shape.shoulder, shape.drop
    half = mirrored(points)
    solid = capsule(points, [0, -0.22, -0.55], [0, 0.02, shape.neck_length + 0.3], 1.08 * neck, 0.93 * neck)
    trapezius = capsule(half, [0.25, -0.32, 0.22], [0.93 * shoulder, -0.30, -drop], 0.30, 0.36)
    solid = smooth_union(solid, trapezius, 0.42)
    arm = capsule(half, [shoulder, -0.30, -drop - 0.08], [1.08 * shoulder, -0.34, -2.6], 0.46, 0.38)
    solid = smooth_union(solid, arm, 0.3)
    solid = smooth_union(solid, ellipsoid(half, [0.0, -0.18, -1.75], [1.62 * shape.slim, 0.86, 1.75]), 0.32)
    solid = smooth_union(solid, ellipsoid(half, [0.78, 0.48, -2.25], [0.66, 0.46, 0.66]), 0.35)
    solid = smooth_union(solid, rods(half, CLAVICLE, [0.08, 0.07, 0.065, 0.065, 0.08], 0.05), 0.24)
    solid = carve(solid, ellipsoid(half, [0, 0.60, -0.36], [0.13, 0.15, 0.15]), 0.16)
    return carve(solid, ellipsoid(half, [0.80, 0.22, -0.13], [0.32, 0.13, 0.10]), 0.22)


def _head(points: FloatArray) -> FloatArray:
    skull = ellipsoid(points, [0, -0.12, 0.42], [0.74, 0.93, 0.98])
    face = ellipsoid(points, [0, 0.34, -0.18], [0.53, 0.52, 0.70])
    head = smooth_union(skull, face, 0.25)
    head = smooth_union(head, rods(mirrored(points), JAW, [0.13, 0.14, 0.15, 0.16], 0.1), 0.16)
    head = smooth_union(head, ellipsoid(points, [0, 0.79, -0.70], [0.16, 0.12, 0.13]), 0.12)
    head = smooth_union(head, capsule(points, [0, 0.84, 0.10], [0, 1.06, -0.13], 0.07, 0.10), 0.10)
    upper = ellipsoid(points, [0, 0.865, -0.36], [0.20, 0.07, 0.042])
    lower = ellipsoid(points, [0, 0.855, -0.445], [0.17, 0.075, 0.05])
    return smooth_union(head, smooth_union(upper, lower, 0.012), 0.045)


def _pigment(rng: np.random.Generator, skin: Mesh, shape: BustShape) -> Pigment:
    x, y, z = ((skin.vertices - shape.head) @ shape.turn).T
    cheeks = 0.5 * np.exp(-(((np.abs(x) - 0.42) / 0.2) ** 2) - ((z + 0.15) / 0.25) ** 2)
    reach = np.sqrt((x / 0.215) ** 2 + ((y - 0.88) / 0.14) ** 2 + ((z + 0.40) / 0.088) ** 2)
    return draw_pigment(rng, skin.vertices, cheeks.astype(np.float32), lips=np.exp(-(reach**6)))
