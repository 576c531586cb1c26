"""Pendants and charms of unit size: they hang from the origin, y is up and z points to the viewer."""

from collections.abc import Callable

import numpy as np

from datamodules.rendering.geometry.tubes import circle, lathe, tube
from datamodules.rendering.geometry.vectors import X, Y, Z, columns
from datamodules.rendering.ornaments.catalogue import PLATES, PendantDesign
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.shapes import plate, sphere
from datamodules.rendering.ornaments.stones import collet, gem, half_height, set_stone

WIDTH = 1.0
LONG = ("bar", "leaf")
CAP = np.array([[0.0, 0.32], [0.10, 0.30], [0.26, 0.12], [0.36, 0.0], [0.0, -0.02]])


def pendant(design: PendantDesign, metal: str) -> Parts:
    """A pendant with its bail, at most ``WIDTH`` wide."""
    parts = Parts()
    parts.add(metal, tube(circle(0.11, 24)[:, [2, 1, 0]] - 0.07 * Y, 0.028, True, sides=8), "pendants")
    SHAPES[design.kind](parts, design, metal)
    return parts


def _stone(parts: Parts, design: PendantDesign, metal: str) -> None:
    radius = 0.40
    center = -Y * (0.22 + radius * half_height(design.cut))
    parts.attach(set_stone(metal, design.stone, design.cut, "bezel"), center, scales=radius)


def _pearl(parts: Parts, design: PendantDesign, metal: str) -> None:
    radius = 0.36
    center = -Y * (0.24 + radius)
    parts.attach(single("pearl", sphere(32, 20), "beads"), center, scales=radius)
    parts.attach(single(metal, lathe(CAP, 24)), center + 0.92 * radius * Y, columns(X, -Z, Y), radius)


def _halo(parts: Parts, design: PendantDesign, metal: str) -> None:
    radius = 0.28
    center = -Y * (0.2 + 1.7 * radius)
    parts.attach(set_stone(metal, design.stone, "round"), center, scales=radius)
    parts.attach(
        single(design.accent, gem("round"), "stones"), center + circle(1.42 * radius, 14), scales=0.26 * radius
    )
    parts.attach(single(metal, tube(circle(1.42, 60), 0.10, True)), center - 0.15 * radius * Z, scales=radius)
    parts.attach(single(metal, tube(circle(1.72, 60), 0.06, True)), center, scales=radius)


def _plate(parts: Parts, design: PendantDesign, metal: str) -> None:
    radius = 0.55 if design.kind in LONG else 0.45
    center = -Y * (0.14 + 0.95 * radius)
    parts.attach(single(metal, plate(design.kind)), center, scales=radius)
    if design.stone:
        stone = 0.13 if design.kind == "bar" else 0.22
        parts.attach(collet(metal, design.stone, 0.14), center + 0.14 * radius * Z, scales=stone * radius)


SHAPES: dict[str, Callable[[Parts, PendantDesign, str], None]] = {
    "stone": _stone,
    "pearl": _pearl,
    "halo": _halo,
    **dict.fromkeys(PLATES, _plate),
}
