"""Earrings in an ear."""

import numpy as np

from datamodules.rendering.bodies import EarSide
from datamodules.rendering.geometry.vectors import Vector, Y, Z, columns, rotation, unit
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments import RIGID, Design
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.poses.neck import seen_from
from datamodules.rendering.poses.staging import Placed, Stage

STIFF = ("hoop", "stud")


def on_lobe(design: Design, side: EarSide, rng: np.random.Generator) -> Placed:
    """Put an earring on."""
    scale = float(rng.uniform(0.85, 1.15) * design.size)
    if design.kind == "hoop":
        return _hoop(design, side, rng, scale)
    fit = Fit(scale)
    earring = RIGID["earring", design.kind](design, fit)
    out = unit(0.8 * side.outside * [1, 1, 0] + 0.5 * Y)
    swing = rng.normal(0, 0.25 if design.kind == "stud" else 0.06)
    axes = rotation(out, swing) @ columns(np.cross(Z, out), Z, out)
    top = side.piercing + 0.012 * out
    if design.kind not in STIFF:
        top, axes = _swing_clear(earring, side, top, axes)
    parts = Parts()
    parts.attach(earring, top, axes)
    facing = seen_from(rng.uniform(-0.45, 0.45), rng.uniform(-0.15, 0.15))
    return Placed(parts, fit, facing, _upright(rng), side.lobe, {"swing": round(float(swing), 4)})


def show_lobe(placed: Placed, rng: np.random.Generator) -> Stage:
    """See the earring with the ear and a part of the head."""
    direction, up = placed.facing, placed.up
    width, distance = float(rng.uniform(1.45, 2.1)), float(rng.uniform(3.5, 5.0))
    return Stage(direction, up, np.array([0.02, 0.1, 0.08]), 0.55, width, unit(direction * [1, 1, 0]), distance, Z)


def _upright(rng: np.random.Generator) -> Vector:
    return np.asarray(unit([rng.normal(0, 0.08), 0, 1.0]))


def _hoop(design: Design, side: EarSide, rng: np.random.Generator, scale: float) -> Placed:
    """The largest hoop, up to the designed one, that some turn keeps clear of jaw and neck; its broad side is seen."""
    top = side.lobe - 0.02 * Z
    out = unit(0.8 * side.outside * [1, 1, 0] + 0.5 * Y)
    for share in (1.0, 0.75, 0.5, 0.25, 0.0):
        radius = scale * (0.15 + 0.22 * design.length * share)
        turns = [unit(0.8 * out + turn * side.forward * [1, 1, 0]) for turn in np.linspace(0.2, 1.5, 7)]
        gaps = [_hoop_gap(side, top, unit(turn * [1, 1, 0]), radius) for turn in turns]
        ahead = unit(turns[int(np.argmax(gaps))] * [1, 1, 0])
        if max(gaps) > 0.04 * scale:
            break
    fit = Fit(scale, inner_radius=float(radius))
    parts = Parts()
    parts.attach(RIGID["earring", "hoop"](design, fit), top, columns(np.cross(Z, ahead), Z, ahead))
    azimuths = rng.uniform(-0.45, 0.85, 6)
    views = [seen_from(azimuth, rng.uniform(-0.15, 0.15)) for azimuth in azimuths]
    facing = max(views, key=lambda view: float(abs(view @ np.cross(Z, ahead))))
    return Placed(parts, fit, facing, _upright(rng), side.lobe)


def _hoop_gap(side: EarSide, top: Vector, ahead: Vector, radius: float) -> float:
    angles = np.linspace(0, 2 * np.pi, 60)
    ring = top - 0.98 * radius * Z + radius * (np.outer(np.cos(angles), ahead) + np.outer(np.sin(angles), Z))
    below = ring[ring[:, 2] < top[2] - 0.16]
    return float(side.field.distance(below).min()) if len(below) else 1.0


def _swing_clear(earring: Parts, side: EarSide, top: Vector, axes: Vector) -> tuple[Vector, Vector]:
    """Turn what hangs outwards until it is clear of lobe, jaw and neck."""
    points = np.concatenate([mesh.vertices for mesh in earring.meshes().values()])
    points = points[:: max(len(points) // 3000, 1)]
    hanging = points[(points[:, 1] < -0.14) & (points[:, 2] > -0.04)]
    if not len(hanging):
        return top, axes
    for step in range(12):
        tilted = rotation(axes[:, 0], -0.035 * step) @ axes
        moved = top + 0.004 * step * axes[:, 2]
        if side.field.distance(moved + hanging @ tilted.T).min() > 0.01:
            break
    return moved, tilted
