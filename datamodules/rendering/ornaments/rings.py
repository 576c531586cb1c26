"""Rings with a head: what sits on the front of a band."""

import numpy as np

from datamodules.rendering.geometry.tubes import circle, tube
from datamodules.rendering.geometry.vectors import X, Y, Z, columns
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.bands import closed_band, plain, thickness, twist
from datamodules.rendering.ornaments.designs import Design
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.shapes import plate, sphere
from datamodules.rendering.ornaments.stones import gem, set_stone

HEAD = columns(X, -Z, Y)
"""Axes of a head whose table faces the front (+y)."""


def solitaire(design: Design, fit: Fit) -> Parts:
    """One stone."""
    parts, top, size = _shank(design, fit)
    head = set_stone(design.metal, design.stone, design.cut, design.setting, design.prongs)
    parts.attach(head, (top + 0.55 * size) * Y, HEAD, size)
    return parts


def halo(design: Design, fit: Fit) -> Parts:
    """A stone in a circle of small ones."""
    parts, top, size = _shank(design, fit)
    parts.attach(set_stone(design.metal, design.stone, "round"), (top + 0.55 * size) * Y, HEAD, 0.93 * size)
    small = Parts()
    small.attach(single(design.accent, gem("round"), "stones"), circle(1.18, 16), scales=0.2)
    small.add(design.metal, tube(circle(1.18, 60) - 0.12 * Z, 0.13, True))
    small.add(design.metal, tube(circle(1.40, 60), 0.05, True))
    parts.attach(small, (top + 0.5 * size) * Y, HEAD, size)
    return parts


def trilogy(design: Design, fit: Fit) -> Parts:
    """A stone between two smaller ones."""
    parts, top, size = _shank(design, fit)
    parts.attach(set_stone(design.metal, design.stone, "round"), (top + 0.5 * size) * Y, HEAD, 0.85 * size)
    _beside(parts, design, fit, design.accent, 1.5 * size, 0.32 * size, 0.58 * size)
    return parts


def pearl(design: Design, fit: Fit) -> Parts:
    """A pearl, perhaps between two stones."""
    parts, top, size = _shank(design, fit)
    parts.attach(single("pearl", sphere(40, 26), "beads"), (top + 0.75 * size) * Y, scales=0.95 * size)
    parts.attach(single(design.metal, tube(circle(0.55, 30), 0.12, True)), (top + 0.12 * size) * Y, HEAD, size)
    if design.stone:
        _beside(parts, design, fit, design.stone, 1.35 * size, 0.2 * size, 0.36 * size)
    return parts


def signet(design: Design, fit: Fit) -> Parts:
    """A plate, perhaps with an inlay."""
    parts, top, size = _shank(design, fit)
    length = 1.3 * (0.8 if design.bead else 1.0)
    parts.attach(
        single(design.metal, plate("disc", 0.3)), (top + 0.05 * size) * Y, HEAD, size * np.array([[1.15, length, 1]])
    )
    if design.bead:
        inlay = single(design.bead, plate("disc", 0.3), "stones")
        parts.attach(inlay, (top + 0.18 * size) * Y, HEAD, size * np.array([[0.85, 0.78, 1.0]]))
    return parts


def eternity(design: Design, fit: Fit) -> Parts:
    """Stones all around."""
    parts, top, _ = _shank(design, fit)
    count = max(int(2 * np.pi * top / (1.55 * fit.scale)), 12)
    radius = 0.94 * np.pi * top / count
    angles = 2 * np.pi * np.arange(count) / count
    out = np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1)
    axes = columns(np.cross(Z, out), Z, out)
    parts.attach(single(design.stone, gem("round"), "stones"), (top + 0.25 * radius) * out, axes, radius)
    between = angles + np.pi / count
    for side in (-1, 1):
        parts.add(design.metal, tube(circle(top + 0.1 * radius, 160) + side * radius * Z, 0.18 * radius, True, sides=8))
        places = (top + 0.38 * radius) * np.stack([np.cos(between), np.sin(between), 0 * between], -1)
        parts.attach(single(design.metal, sphere(10, 8)), places + 0.62 * side * radius * Z, scales=0.2 * radius)
    return parts


def _shank(design: Design, fit: Fit) -> tuple[Parts, float, float]:
    """The band, the height of its front above the axis, and the size of the head."""
    half_thickness = thickness(fit)
    band = single(design.metal, closed_band(fit, 0.62 * fit.scale * design.band, 0.9 * half_thickness))
    return band, fit.inner_radius + 2 * half_thickness, 1.55 * fit.scale * design.size


def _beside(parts: Parts, design: Design, fit: Fit, stone: str, aside: float, above: float, radius: float) -> None:
    half_thickness = thickness(fit)
    for side in (-1, 1):
        angle = np.pi / 2 + side * aside / (fit.inner_radius + half_thickness)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        place = (fit.inner_radius + 2 * half_thickness + above) * out
        parts.attach(set_stone(design.metal, stone, "round"), place, columns(np.cross(Z, out), Z, out), radius)


RING_KINDS = {
    "solitaire": solitaire,
    "halo": halo,
    "eternity": eternity,
    "plain": plain,
    "twist": twist,
    "signet": signet,
    "pearl": pearl,
    "trilogy": trilogy,
}
