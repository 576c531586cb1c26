"""Bracelets on a wrist."""

from functools import partial
from typing import NamedTuple

import numpy as np

from datamodules.rendering.bodies import Hand
from datamodules.rendering.geometry.draping import around, drape
from datamodules.rendering.geometry.fields import evaluate
from datamodules.rendering.geometry.tubes import arc_lengths, resampled
from datamodules.rendering.geometry.vectors import Vector, X, Y, Z, across, columns, rotation, unit
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments import RIGID, STRANDS, Design, is_flexible
from datamodules.rendering.ornaments.bands import ellipse
from datamodules.rendering.ornaments.curves import Curve, Strand, nearest_to, smoothed
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.poses.hanging import hanging
from datamodules.rendering.poses.staging import Placed, Stage, section

POINTS = 90
GAP = 0.004
SLOPE = 0.35
ANGLES = np.linspace(0, 2 * np.pi, 90, endpoint=False)


class View(NamedTuple):
    """Unit vectors to the camera and up."""

    facing: Vector
    up: Vector


def on_wrist(design: Design, hand: Hand, rng: np.random.Generator) -> Placed:
    """Put a bracelet on."""
    underside = bool(rng.random() < 0.22)
    facing = unit([rng.uniform(-0.45, 0.45), rng.uniform(-0.6, 0.6), -1.0 if underside else 1.0])
    view = View(facing, draw_up(facing, X, rng))
    gravity = _gravity(view.up, rng)
    center = np.array([rng.uniform(-0.50, -0.32), 0.0, 0.0])
    if is_flexible(design):
        return _draped(design, hand, rng, center, gravity, view)
    fitted = _fit_cuff if design.kind == "cuff" else _fit_bangle
    fit, origin, axes = fitted(design, hand, rng, center, gravity)
    parts = Parts()
    parts.attach(RIGID["bracelet", design.kind](design, fit), origin, axes)
    return Placed(parts, fit, view.facing, view.up, center, {"palm": underside})


def show_wrist(placed: Placed, rng: np.random.Generator) -> Stage:
    """See the bracelet with the hand."""
    anchor = placed.place + np.array([0.95, 0.05, 0.0])
    return show_hand(placed, anchor, 0.45, float(rng.uniform(1.9, 2.7)), rng)


def show_hand(placed: Placed, anchor: Vector, share: float, width: float, rng: np.random.Generator) -> Stage:
    """See a hand from the ornament's best side."""
    direction, up = placed.facing, placed.up
    slope = np.array([0, 0, 0.6 * np.sign(direction[2])])
    normal = unit(0.75 * direction + slope + rng.normal(0, 0.08, 3))
    distance = float(rng.uniform(0.75, 1.6))
    light_up = unit(up + 0.4 * direction) if rng.random() < 0.6 else direction
    return Stage(direction, up, anchor, share, width, normal, distance, light_up)


def draw_up(facing: Vector, axis: Vector, rng: np.random.Generator) -> Vector:
    """Draw what is up in an image seen from ``facing``: ``axis`` points in one of four directions, roughly."""
    angle = rng.choice([0, np.pi / 2, np.pi, -np.pi / 2]) + rng.normal(0, 0.38)
    return np.asarray(rotation(facing, angle) @ across(axis, facing))


def _gravity(up: Vector, rng: np.random.Generator) -> Vector:
    """Down in the image, but mostly across the arm, along which a bracelet would slip."""
    down = -up + rng.normal(0, 0.3, 3)
    across_arm = unit(down * [0, 1, 1])
    return np.asarray(unit(across_arm + np.clip(down[0], -SLOPE, SLOPE) * X))


def _draped(
    design: Design, hand: Hand, rng: np.random.Generator, center: Vector, gravity: Vector, view: View
) -> Placed:
    scale = rng.uniform(0.034, 0.062) * design.size * (0.95 if design.kind == "tennis" else 1.0)
    field, clearance = hand.field, 1.02 * scale
    directions, reach = around(field.distance, center, Y, Z)
    tight = center + directions * (reach + clearance)[:, None]
    perimeter = arc_lengths(tight, True)[-1]
    loose = 0.5 if design.kind in ("tennis", "beads") else 1.2
    length = perimeter * (1.02 + design.slack * loose)
    start = center + directions * ((reach + clearance) * length / perimeter)[:, None]
    start = resampled(start, True, POINTS) + np.outer(rng.normal(0, 0.01, POINTS), X)
    points = drape(field, start, length, clearance, gravity)
    curve = Curve(points, smoothed(field.normal(points), 3))
    fit = Fit(float(scale), length=float(length))
    axis = X if gravity[0] >= 0 else -X
    hang = hanging(field, gravity, axis, 0.5 * scale)
    front = nearest_to(curve, unit(view.facing * [0, 1, 1]))
    parts = STRANDS["bracelet", design.kind](design, fit, Strand(curve, front, hang))
    return Placed(parts, fit, view.facing, view.up, center, {"palm": bool(view.facing[2] < 0)})


def _fit_cuff(
    design: Design, hand: Hand, rng: np.random.Generator, center: Vector, gravity: Vector
) -> tuple[Fit, Vector, Vector]:
    """A cuff follows the wrist's ellipse and is open below it."""
    arm = partial(evaluate, hand.arm)
    directions, reach = around(arm, center, Y, Z)
    middle, width, height = section(center + directions * reach[:, None], Y, Z)
    scale, tilt = float(rng.uniform(0.055, 0.095)), rng.uniform(-0.08, 0.08)
    axis = unit([1.0, 0.5 * tilt, tilt])
    front = across(Z + rng.normal(0, 0.1) * Y, axis)
    axes = columns(np.cross(front, axis), front, axis)
    fit = Fit(scale, inner_radius=1.01 * width, ellipticity=min(height / width, 1.0))
    half_width = 0.9 * scale * design.band
    while not _clears(hand, fit, middle, axes, 0.8 * half_width) and fit.inner_radius < 0.6:
        fit = Fit(scale, inner_radius=1.015 * fit.inner_radius, ellipticity=fit.ellipticity)
    return fit, middle, axes


def _fit_bangle(
    design: Design, hand: Hand, rng: np.random.Generator, center: Vector, gravity: Vector
) -> tuple[Fit, Vector, Vector]:
    """A bangle is wider than the wrist, and falls until it touches."""
    arm = partial(evaluate, hand.arm)
    directions, reach = around(arm, center, Y, Z)
    _, width, _ = section(center + directions * reach[:, None], Y, Z)
    scale, ellipticity = float(rng.uniform(0.045, 0.085)), float(rng.uniform(0.86, 1.0))
    radius = width * rng.uniform(1.10, 1.22)
    tilt = rng.uniform(-0.38, 0.38)
    axis = unit([1.0, 0.5 * tilt, tilt])
    front = across(np.array([0, rng.uniform(-0.8, 0.8), 1.0]), axis)
    axes = columns(np.cross(front, axis), front, axis)
    half_width = 0.6 * scale * design.band * (design.flatness if design.kind == "bangle" else 1.0)
    fit = Fit(scale, inner_radius=float(radius), ellipticity=ellipticity)
    while not _clears(hand, fit, center, axes, half_width) and fit.inner_radius < 0.7:
        fit = Fit(scale, inner_radius=1.03 * fit.inner_radius, ellipticity=ellipticity)
    fall = gravity - (gravity @ axis) * axis
    resting = center
    for distance in np.linspace(0, 0.3, 46)[1:]:
        if not _clears(hand, fit, center + distance * fall, axes, half_width):
            break
        resting = center + distance * fall
    return fit, resting, axes


def _clears(hand: Hand, fit: Fit, origin: Vector, axes: Vector, half_width: float) -> bool:
    """Whether the inside of a band, on its middle and both edges, is outside of the arm."""
    inner = ellipse(fit, 0.0, ANGLES)
    edges = [inner + np.array([0, 0, side * half_width]) for side in (-1, 0, 1)]
    points = origin + np.concatenate(edges) @ axes.T
    return bool(hand.field.distance(points).min() > GAP)
