"""Necklaces on a bust."""

import numpy as np

from datamodules.rendering.bodies import Bust
from datamodules.rendering.geometry.draping import drape
from datamodules.rendering.geometry.vectors import Vector, Y, Z, unit
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments import STRANDS, Design
from datamodules.rendering.ornaments.curves import Curve, Strand, smoothed
from datamodules.rendering.poses.hanging import hanging
from datamodules.rendering.poses.staging import Placed, Stage

POINTS = 150
GRAVITY = -Z
FINE = ("chain_pendant", "station", "fringe")
BEADED = ("pearls", "beads_pendant", "graduated")
SHORT = ("graduated", "tennis")
HUNG = ("chain_pendant", "beads_pendant")


def on_neck(design: Design, bust: Bust, rng: np.random.Generator) -> Placed:
    """Put a necklace on."""
    scale = float(rng.uniform(0.034, 0.06) * design.size * (0.85 if design.kind in FINE else 1.0))
    neck = 2 * np.pi * 1.08 * bust.neck_radius
    longer = 1.10 + 0.45 * design.length if design.kind in SHORT else 1.12 + 0.75 * design.length
    length = float(neck * longer)
    clearance = scale * (1.0 if design.kind in BEADED else 0.8 if design.kind == "station" else 0.6)
    heavy = (0, 1, POINTS - 1) if design.kind in HUNG else ()
    start = _loop_around(bust, length)
    points = drape(bust.field, start, length, clearance, GRAVITY - 0.05 * Y, 280, heavy)
    curve = Curve(points, smoothed(bust.field.normal(points), 3))
    fit = Fit(scale, length=length)
    strand = Strand(curve, 0.0, hanging(bust.field, GRAVITY, GRAVITY, 0.4 * scale))
    azimuth, elevation = rng.uniform(-0.5, 0.5), rng.uniform(-0.05, 0.30)
    parts = STRANDS["necklace", design.kind](design, fit, strand)
    up = unit([rng.normal(0, 0.06), 0, 1.0])
    return Placed(parts, fit, seen_from(azimuth, elevation), up, points[0])


def show_neck(placed: Placed, rng: np.random.Generator) -> Stage:
    """See the necklace with neck and shoulders."""
    direction, up = placed.facing, placed.up
    width, distance = float(rng.uniform(2.2, 3.0)), float(rng.uniform(2.2, 4.0))
    return Stage(direction, up, np.array([0, 0.2, -0.12]), 0.5, width, unit(direction * [1, 1, 0]), distance, Z)


def seen_from(azimuth: float, elevation: float) -> Vector:
    """(3,) unit vector to a camera: 0 is in front (+y), then to +x and up; in radians."""
    flat = np.cos(elevation)
    return np.array([np.sin(azimuth) * flat, np.cos(azimuth) * flat, np.sin(elevation)])


def _loop_around(bust: Bust, length: float) -> Vector:
    """A loop around the neck, front first, from which the necklace falls."""
    radius = max(length / (2 * np.pi), 1.05 * bust.neck_radius)
    angles = np.pi / 2 + np.arange(POINTS) / POINTS * 2 * np.pi
    x, y = 0.98 * radius * np.cos(angles), 1.02 * radius * np.sin(angles) - 0.02
    return np.stack([x, y, 0.26 + 0.05 * np.cos(angles) - 0.12 * np.sin(angles)], -1)
