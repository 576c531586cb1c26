"""Ornaments on a table: the image of a shop."""

import numpy as np

from datamodules.rendering.geometry.tubes import arc_lengths, resampled
from datamodules.rendering.geometry.vectors import Vector, X, Y, Z, across, columns, rotation, unit
from datamodules.rendering.geometry.views import Camera, Fit, LaidView
from datamodules.rendering.ornaments import RIGID, STRANDS, Design, is_flexible
from datamodules.rendering.ornaments.curves import Curve, Frames, Hang, Hook, Strand, hook, propped
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.poses.staging import extent

POINTS = 200


def lay_out(design: Design, fit: Fit, rng: np.random.Generator) -> LaidView:
    """Lay an ornament on a table.

    Args:
        design: What it is.
        fit: What trying it on settled; the same ``fit`` gives the same ornament as worn.
        rng: Draws the pose and the camera.
    """
    if is_flexible(design):
        parts = STRANDS[design.category, design.kind](design, fit, _strand(design, fit, rng))
    else:
        parts = Parts()
        parts.attach(RIGID[design.category, design.kind](design, fit), np.zeros(3), _axes(design, rng))
    meshes = parts.meshes()
    plane = min(float(mesh.vertices[:, 2].min()) for mesh in meshes.values()) - 0.001
    tilt = rng.uniform(0.35, 0.95) if design.category == "ring" else rng.uniform(0.05, 0.55)
    azimuth = rng.normal(0, 0.25)
    direction = unit([rng.normal(0, 0.12), -np.sin(tilt), np.cos(tilt)])
    up = across(np.array([np.sin(azimuth), np.cos(azimuth), 0.0]), direction)
    target, size = extent(meshes, direction, up)
    camera = Camera(target, direction, up, size * float(rng.uniform(1.12, 1.4)), float(rng.uniform(14, 26)))
    info = {"tilt": round(float(tilt), 4), "azimuth": round(float(azimuth), 4)}
    return LaidView(meshes, camera, plane, parts.counted(), info)


def _strand(design: Design, fit: Fit, rng: np.random.Generator) -> Strand:
    angles = -np.pi / 2 + np.arange(POINTS) / POINTS * 2 * np.pi
    if design.category == "bracelet":
        narrow, waves = rng.uniform(0.75, 1.0), rng.normal(size=2) * [0.05, 0.03]
        reach = 1 + waves[0] * np.cos(2 * angles) + waves[1] * np.cos(3 * angles)
        flat = [reach * np.cos(angles), narrow * reach * np.sin(angles)]
    else:
        width, egg = rng.uniform(0.55, 0.8), rng.uniform(0.1, 0.45)
        flat = [width * np.cos(angles) * (1 - egg * np.sin(angles)), np.sin(angles)]
    points = resampled(np.stack([*flat, 0 * angles], -1), True, POINTS)
    points = points * fit.length / arc_lengths(points, True)[-1] + fit.scale * Z
    return Strand(Curve(points, np.tile(Z, (POINTS, 1))), 0.0, _outwards(fit))


def _outwards(fit: Fit) -> Hang:
    def hang(frames: Frames, size: float, back: float) -> Hook:
        up = unit(np.cross(Z, frames.along[0]) * [1, 1, 0])
        up = -up if up @ frames.positions[0] > 0 else up
        lying = hook(frames.positions[0] - 0.4 * fit.scale * up + 0.3 * fit.scale * Z, up, Z)
        return propped(lying, back - 1.3 * fit.scale, size)

    return hang


def _axes(design: Design, rng: np.random.Generator) -> Vector:
    if design.category == "earring":
        return _earring_axes(design, rng)
    if design.category == "ring" or rng.random() < 0.5:
        lean = rng.uniform(0.1, 0.8) if design.category == "ring" else rng.uniform(0.4, 1.1)
        return np.asarray(rotation(Z, rng.uniform(-0.7, 0.7)) @ rotation(X, lean) @ columns(X, Z, -Y))
    return np.asarray(rotation(Z, rng.uniform(-0.6, 0.6)) @ columns(X, -Y, -Z))


def _earring_axes(design: Design, rng: np.random.Generator) -> Vector:
    turn = rotation(Y, rng.normal(0, 0.25))
    if design.kind != "hoop":
        return turn
    ahead = unit([0.9, 0, rng.uniform(-0.5, 0.5)])
    return columns(np.cross(Y, ahead), Y, ahead)
