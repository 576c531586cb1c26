"""A hand with its wrist and forearm.

The wrist is at the origin, fingers point to +x, the thumb to +y, the back of the hand to +z; one unit is about 9 cm.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from datamodules.rendering.bodies.body import Body
from datamodules.rendering.bodies.nails import nail
from datamodules.rendering.bodies.skin import Pigment, draw_pigment
from datamodules.rendering.geometry.fields import sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh, merge
from datamodules.rendering.geometry.sdf import Distance, capsule, rods, smooth_union, stretch, united
from datamodules.rendering.geometry.vectors import FloatArray, Vector, Y, Z, rotation, unit

FINGERS = ("index", "middle", "ring", "little")
KNUCKLES = np.array([[1.06, 0.34, 0.03], [1.12, 0.115, 0.055], [1.08, -0.11, 0.04], [0.98, -0.315, 0.0]])
LENGTHS = (0.82, 0.92, 0.85, 0.66)
RADII = (0.116, 0.119, 0.112, 0.098)
BONES = (0.46, 0.30, 0.24)
BENDS = np.array([0.8, 1.0, 0.7])


@dataclass(frozen=True, eq=False)
class Finger:
    """Joints (K, 3) from the palm to the tip, and the radius (K,) at each."""

    joints: Vector
    radii: Vector


@dataclass(frozen=True, eq=False)
class Hand(Body):
    """A hand, and where ornaments sit on it.

    Attributes:
        fingers: Index, middle, ring and little finger.
        back: (3,) direction of the back of the hand.
        arm: Distance to the forearm alone, without the hand: what a rigid bangle has to fit.
    """

    fingers: tuple[Finger, ...]
    back: Vector
    arm: Distance


@dataclass(frozen=True, eq=False)
class HandShape:
    """What is drawn about a hand."""

    slim: float
    curl: float
    spread: float
    extension: float
    deviation: float
    thick: float
    turn: Vector

    @property
    def wrist(self) -> tuple[float, float]:
        """Half width and half height of the wrist."""
        return 0.315 * self.slim, 0.225 * self.slim

    def place(self, point: Vector | Sequence[float]) -> Vector:
        """From the hand's own axes to those of the forearm."""
        return np.asarray(self.turn @ np.asarray(point, np.float64))


def draw_hand(rng: np.random.Generator, low: Vector, high: Vector, step: float) -> Hand:
    """Draw a hand.

    Args:
        rng: Draws its shape.
        low: (3,) lower corner of the part that is wanted.
        high: (3,) upper corner.
        step: Of the grid that its surface is found on.
    """
    shape = _draw_shape(rng)
    fingers = tuple(_draw_finger(rng, shape, number) for number in range(4))
    thumb = _draw_thumb(rng, shape)
    distance = _distance(shape, fingers, thumb)
    grid = sample_field(distance, low, high, step)
    skin = surface_mesh(grid, distance)
    back, side = shape.place(Z), shape.place(Y)
    thumb_back = unit(0.55 * back + 0.55 * side)
    nails = [nail(finger.joints, finger.radii[-1], back) for finger in fingers]
    nails.append(nail(thumb.joints, thumb.radii[-1], thumb_back))
    return Hand(
        surfaces={"skin": skin, "nail": merge(nails)},
        pigment=_pigment(rng, skin, (*fingers, thumb), back, side),
        field=grid,
        info={name: round(getattr(shape, name), 4) for name in ("slim", "curl", "spread", "extension", "deviation")},
        fingers=fingers,
        back=back,
        arm=_arm(shape),
    )


def _draw_shape(rng: np.random.Generator) -> HandShape:
    slim, curl, spread = rng.uniform(0.86, 1.04), rng.uniform(0.05, 0.45), rng.uniform(0.04, 0.13)
    extension, deviation = rng.uniform(-0.15, 0.35), rng.uniform(-0.2, 0.2)
    turn = rotation(Z, deviation) @ rotation(Y, extension)
    return HandShape(slim, curl, spread, extension, deviation, rng.uniform(0.92, 1.08), turn)


def _draw_finger(rng: np.random.Generator, shape: HandShape, number: int) -> Finger:
    fan = shape.spread * (1.5 - number) * 1.15 + rng.normal(0, 0.015)
    bends = shape.curl * rng.uniform(0.6, 1.0) * BENDS + [0.05, 0.03, 0.02]
    thickness = RADII[number] * shape.slim
    knuckle = KNUCKLES[number] * [1, shape.slim, 1]
    joints, radii = [knuckle - [0.12, 0, 0.01], knuckle], [1.08 * thickness, 1.07 * thickness]
    for angle, bone, middle, end in zip(np.cumsum(bends), BONES, (0.97, 0.87, 0.78), (0.98, 0.89, 0.69), strict=True):
        direction = np.array([np.cos(angle) * np.cos(fan), np.cos(angle) * np.sin(fan), -np.sin(angle)])
        half = direction * LENGTHS[number] * bone / 2
        joints += [joints[-1] + half, joints[-1] + 2 * half]
        radii += [middle * thickness, end * thickness]
    return Finger(np.array([shape.place(joint) for joint in joints]), np.array(radii))


def _draw_thumb(rng: np.random.Generator, shape: HandShape) -> Finger:
    root = np.array([0.22, 0.24 * shape.slim, -0.06])
    middle = root + np.array([0.36, 0.30 + rng.uniform(-0.08, 0.08), -0.08])
    end = middle + np.array([0.34, 0.13 + rng.uniform(-0.1, 0.1), -0.03])
    joints = (root, middle, end, end + np.array([0.26, 0.05, -0.02]))
    return Finger(
        np.array([shape.place(joint) for joint in joints]), np.array([0.17, 0.135, 0.122, 0.092]) * shape.slim
    )


def _arm(shape: HandShape) -> Distance:
    width, height = shape.wrist
    thick, slim = shape.thick, shape.slim

    def distance(points: FloatArray) -> FloatArray:
        flat = stretch(points, [1, 1, width / height])
        near = capsule(flat, [-0.02, 0, 0], [-1.1, 0, 0], 0.93 * width, 1.16 * width * thick)
        flatter = stretch(flat, [1, 1, 0.9])
        rest = capsule(flatter, [-1.0, 0, 0], [-3.4, 0, 0], 1.12 * width * thick, 1.55 * width * thick)
        bone = capsule(points, [-0.17, -0.22 * slim, 0.09], [-0.24, -0.22 * slim, 0.10], 0.075, 0.075)
        return smooth_union(smooth_union(near, rest, 0.25) * np.float32(1.15 * height / width), bone, 0.12)

    return distance


def _distance(shape: HandShape, fingers: tuple[Finger, ...], thumb: Finger) -> Distance:
    arm, slim = _arm(shape), shape.slim
    palm = [
        (
            shape.place([0.16, 0.58 * y * slim, 0.01]),
            shape.place([x - 0.04, y * slim, z - 0.015]),
            0.165 * slim,
            0.135 * slim,
        )
        for x, y, z in KNUCKLES
    ]
    palm.append((shape.place([0.25, -0.20, -0.06]), shape.place([0.75, -0.27, -0.07]), 0.16, 0.12))

    def distance(points: FloatArray) -> FloatArray:
        solid = smooth_union(arm(points), united([capsule(points, *bone) for bone in palm], 0.12), 0.13)
        solid = smooth_union(solid, rods(points, thumb.joints, thumb.radii, 0.05), 0.13)
        lengths = [rods(points, finger.joints, finger.radii, 0.008) for finger in fingers]
        return smooth_union(solid, united(lengths, 0.012), 0.055)

    return distance


def _pigment(rng: np.random.Generator, skin: Mesh, fingers: tuple[Finger, ...], back: Vector, side: Vector) -> Pigment:
    blush, crease = np.zeros(len(skin.vertices), np.float32), np.zeros(len(skin.vertices), np.float32)
    outside = (skin.normals @ back.astype(np.float32)) > -0.2
    for finger in fingers:
        blush += 0.9 * np.exp(-((_distances(skin, finger.joints[-1]) / 0.15) ** 2))
        stops = (1, 3, 5) if len(finger.joints) > 4 else (1, 2)
        for stop in stops:
            blush += 0.8 * np.exp(-((_distances(skin, finger.joints[stop]) / 0.13) ** 2))
            if stop > 1 or len(finger.joints) == 4:
                crease += outside * _creases(skin, finger.joints[stop - 1 : stop + 2], side)
    return draw_pigment(rng, skin.vertices, np.clip(blush, 0, 1.3), shade=np.clip(crease, 0, 0.3))


def _distances(skin: Mesh, point: Vector) -> FloatArray:
    return np.asarray(np.linalg.norm(skin.vertices - point.astype(np.float32), axis=1))


def _creases(skin: Mesh, joints: Vector, side: Vector) -> FloatArray:
    axis = unit(joints[2] - joints[0]).astype(np.float32)
    from_joint = skin.vertices - joints[1].astype(np.float32)
    along = from_joint @ axis
    near = np.exp(-((np.linalg.norm(from_joint - along[:, None] * axis, axis=1) / 0.16) ** 6))
    place = along + 0.004 * np.sin(40 * (skin.vertices @ side.astype(np.float32)))
    lines = [0.08 * np.exp(-(((place - offset) / 0.012) ** 2)) for offset in (-0.03, 0.03)]
    return np.asarray(near * (0.08 * np.exp(-((along / 0.05) ** 2)) + sum(lines)), np.float32)
