"""Rigid bands: bangles, cuffs and the shanks of rings.

The axis of a band is z, its front is +y; it is an ellipse with the inner radius along x and that times the ellipticity
along y.
"""

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.tubes import sweep, tube
from datamodules.rendering.geometry.vectors import Points, Vector, Z, columns, unit
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.designs import Design
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.shapes import sphere
from datamodules.rendering.ornaments.stones import collet

STEPS = 160
OPENING = 0.42
EDGE = 24


def thickness(fit: Fit) -> float:
    """Half of a band's thickness."""
    return 0.42 * fit.scale


def ellipse(fit: Fit, outside: float, angles: Points) -> Vector:
    """Points (N, 3) ``outside`` of the inner ellipse of a band, at angles (N,) from x to y."""
    radius = fit.inner_radius + outside
    points = [radius * np.cos(angles), fit.ellipticity * radius * np.sin(angles), 0 * angles]
    return np.stack(points, -1)


def ellipse_normals(fit: Fit, angles: Points) -> Vector:
    """Unit normals (N, 3) of that ellipse, outwards."""
    return np.asarray(unit(np.stack([np.cos(angles), np.sin(angles) / fit.ellipticity, 0 * angles], -1)))


def closed_band(fit: Fit, half_width: float, half_thickness: float) -> Mesh:
    """A band all around."""
    angles = np.linspace(0, 2 * np.pi, STEPS, endpoint=False)
    center = ellipse(fit, 0.0, angles) + half_thickness * ellipse_normals(fit, angles)
    factors = np.tile([half_thickness, half_width], (STEPS, 1))
    return sweep(center, ellipse_normals(fit, angles), band_profile(), factors, closed=True)


def open_band(fit: Fit, half_width: float, half_thickness: float) -> Mesh:
    """A cuff: open at -y, narrower towards its ends, which are round seen from outside and have rounded edges."""
    angles = open_angles(STEPS)
    center = ellipse(fit, 0.0, angles) + half_thickness * ellipse_normals(fit, angles)
    steps = np.linalg.norm(np.diff(center, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    from_end = np.minimum(along, along[-1] - along)
    width = half_width * (0.62 + 0.38 * np.maximum(np.sin(np.pi * along / along[-1]), 0) ** 0.8)
    tip = 0.62 * half_width
    inside = np.clip(1 - from_end / tip, 0, 1)
    factors = np.stack(
        [half_thickness * np.sqrt(1 - 0.92 * inside**10), width * np.sqrt(np.maximum(1 - inside**2, 0.003))], -1
    )
    return sweep(center, ellipse_normals(fit, angles), band_profile(), factors, closed=False)


def open_angles(count: int) -> Vector:
    """Angles (count,) around a cuff from one end to the other, denser at the ends."""
    share = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, count))
    return np.asarray(-np.pi / 2 + OPENING + (2 * np.pi - 2 * OPENING) * share)


def band_profile() -> Vector:
    """Outline (EDGE, 2) of a band, from -1 to 1 along its thickness and its width, with round edges."""
    angles = np.linspace(0, 2 * np.pi, EDGE, endpoint=False)
    x, y = np.cos(angles), np.sin(angles)
    return np.stack([np.sign(x) * np.abs(x) ** 0.8, np.sign(y) * np.abs(y) ** 0.7], -1)


def bangle(design: Design, fit: Fit) -> Parts:
    """A closed band around the arm, perhaps with stones on its front."""
    half_width = 0.6 * fit.scale * design.band * design.flatness
    parts = single(design.metal, closed_band(fit, half_width, thickness(fit)))
    if design.stone:
        _stones_on_front(parts, design, fit, half_width / 0.6, count=15, step=0.115, largest=0.05)
    return parts


def plain(design: Design, fit: Fit) -> Parts:
    """A plain ring, perhaps with stones on its front."""
    half_width = fit.scale * design.band * design.flatness
    parts = single(design.metal, closed_band(fit, half_width, thickness(fit)))
    if design.stone:
        _stones_on_front(parts, design, fit, half_width, count=7, step=0.30, largest=0.10)
    return parts


def cuff(design: Design, fit: Fit) -> Parts:
    """An open band around the wrist, perhaps with a bead on each end."""
    half_width = 0.9 * fit.scale * design.band
    half_thickness = 0.8 * thickness(fit)
    parts = single(design.metal, open_band(fit, half_width, half_thickness))
    if design.bead:
        ends = open_angles(STEPS)[[0, -1]]
        radius = 0.72 * half_width
        places = ellipse(fit, 0.0, ends) + 0.9 * radius * ellipse_normals(fit, ends)
        parts.attach(single(design.bead, sphere(), "beads"), places, scales=radius)
    return parts


def twist(design: Design, fit: Fit) -> Parts:
    """Wires twisted around each other."""
    radius = 0.42 * fit.scale * design.band
    turns = design.turns * (2 if design.category == "bracelet" else 1)
    angles = np.linspace(0, 2 * np.pi, min(60 * turns, 960), endpoint=False)
    parts = Parts()
    for strand in range(design.strands):
        phase = angles * turns + 2 * np.pi * strand / design.strands
        outside = (2.15 + np.cos(phase)) * radius
        path = ellipse(fit, 0.0, angles) + outside[:, None] * ellipse_normals(fit, angles)
        path = path + np.outer(1.15 * radius * np.sin(phase), Z)
        metal = design.accent if strand == 2 and design.accent else design.metal
        parts.add(metal, tube(path, radius, True, sides=8), "strands")
    return parts


def _stones_on_front(
    parts: Parts, design: Design, fit: Fit, half_width: float, count: int, step: float, largest: float
) -> None:
    angles = np.pi / 2 + (np.arange(count) - (count - 1) / 2) * step
    out = ellipse_normals(fit, angles)
    radius = min(0.5 * half_width, largest * fit.inner_radius)
    places = ellipse(fit, 0.0, angles) + (1.85 * thickness(fit) + 0.1 * radius) * out
    parts.attach(collet(design.metal, design.stone), places, columns(np.cross(Z, out), Z, out), radius)
