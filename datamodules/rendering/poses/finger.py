"""Rings on a finger."""

from typing import NamedTuple

import numpy as np

from datamodules.rendering.bodies import Hand
from datamodules.rendering.bodies.hand import FINGERS
from datamodules.rendering.geometry.draping import around
from datamodules.rendering.geometry.vectors import Vector, across, columns, rotation, unit
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments import RIGID, Design
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.poses.staging import Placed, Stage
from datamodules.rendering.poses.wrist import draw_up, show_hand

CHANCES = (0.28, 0.26, 0.40, 0.06)
TRIES = 8
SQUEEZE = 0.012


class _Seat(NamedTuple):
    finger: int
    center: Vector
    axis: Vector
    radius: float


def on_finger(design: Design, hand: Hand, rng: np.random.Generator) -> Placed:
    """Put a ring on a finger, where its neighbours leave room."""
    scale, roll = float(rng.uniform(0.026, 0.042)), rng.normal(0, 0.28)
    seats = [_seat(hand, rng) for _ in range(TRIES)]
    build = RIGID["ring", design.kind]
    thick = _thickness(build(design, Fit(scale, inner_radius=seats[0].radius)), seats[0].radius)
    gaps = np.array([_gap_to_neighbours(hand, seat, thick) for seat in seats])
    seat = seats[int(np.argmax(gaps > -SQUEEZE)) if gaps.max() > -SQUEEZE else int(np.argmax(gaps))]
    front = rotation(seat.axis, roll) @ across(hand.back, seat.axis)
    axes = columns(np.cross(front, seat.axis), front, seat.axis)
    fit = Fit(scale, inner_radius=seat.radius)
    parts = Parts()
    parts.attach(build(design, fit), seat.center, axes)
    aside = np.cross(front, seat.axis)
    facing = unit(front + seat.axis * rng.uniform(-0.4, 0.2) + aside * rng.uniform(-0.35, 0.35))
    up = draw_up(facing, seat.axis, rng)
    return Placed(parts, fit, facing, up, seat.center, {"finger": FINGERS[seat.finger], "roll": round(float(roll), 4)})


def show_finger(placed: Placed, rng: np.random.Generator) -> Stage:
    """See the ring with the fingers around it."""
    return show_hand(placed, placed.place, 0.3, float(rng.uniform(0.62, 1.15)), rng)


def _seat(hand: Hand, rng: np.random.Generator) -> _Seat:
    """A place between knuckle and middle joint; the ring presses into the flesh a little."""
    number = int(rng.choice(4, p=CHANCES))
    joints = hand.fingers[number].joints
    axis = unit(joints[3] - joints[1])
    center = joints[2] + axis * rng.uniform(-0.06, 0.09)
    first = across(hand.back, axis)
    directions, reach = around(hand.field.distance, center, first, np.cross(axis, first), 48)
    near = np.minimum(reach, 1.25 * hand.fingers[number].radii[2])
    surface = center + directions * near[:, None]
    center = surface.mean(0)
    radius = float(np.quantile(np.linalg.norm(surface - center, axis=1), 0.7)) + 0.002
    return _Seat(number, center, axis, radius)


def _thickness(parts: Parts, radius: float) -> float:
    """How far a ring reaches to the sides, beyond its inner radius."""
    return max(float(np.abs(mesh.vertices[:, 0]).max()) for mesh in parts.meshes().values()) - radius


def _gap_to_neighbours(hand: Hand, seat: _Seat, thick: float) -> float:
    """Smallest distance from the outside of a ring to the other fingers; negative inside of them."""
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    first = across(hand.back, seat.axis)
    ring = np.outer(np.cos(angles), first) + np.outer(np.sin(angles), np.cross(seat.axis, first))
    points = seat.center + (seat.radius + thick) * ring
    gaps = []
    for number, finger in enumerate(hand.fingers):
        if number != seat.finger:
            for start, end, radius in zip(finger.joints[:-1], finger.joints[1:], finger.radii[1:], strict=True):
                share = np.clip((points - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
                nearest = start + share[:, None] * (end - start)
                gaps.append(float(np.linalg.norm(points - nearest, axis=1).min()) - radius)
    return float(min(gaps))
