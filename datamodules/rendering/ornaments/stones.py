"""Cut stones and their settings: the girdle has radius one in the plane of x and y, the table is at +z."""

from functools import lru_cache

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.tubes import circle, tube
from datamodules.rendering.geometry.vectors import Points, Vector
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.ornaments.shapes import faceted

BRILLIANT = (
    (8, 0.56, 0.34, 0.0),
    (8, 0.80, 0.20, 0.5),
    (16, 1.0, 0.03, 0.5),
    (16, 1.0, -0.03, 0.5),
    (8, 0.55, -0.42, 0.0),
)
STEPS = ((0.62, 0.34), (0.82, 0.22), (1.0, 0.04), (1.0, -0.04), (0.72, -0.38), (0.38, -0.66))
CORNERS = {"emerald": 0.30, "princess": 0.06}
ASPECT = {"oval": 0.74, "emerald": 0.72, "pear": 1.15, "marquise": 1.1}


def half_height(cut: str) -> float:
    """Extent of a stone along its y, where that along x is at most one."""
    return ASPECT.get(cut, 1.0)


def outline(cut: str, points: Points) -> Vector:
    """Bend a round shape (N, 3) to the outline of a cut."""
    x, y, z = np.asarray(points, np.float64).T
    if cut == "pear":
        x = 0.70 * x * np.clip(1 - 0.62 * np.clip(y, 0, 1) ** 1.6, 0.1, 1)
    elif cut == "marquise":
        x = 0.5 * x * (1 - 0.45 * np.clip(np.abs(y), 0, 1) ** 1.5)
    return np.stack([x, y * half_height(cut), z], -1)


@lru_cache(maxsize=8)
def gem(cut: str = "round") -> Mesh:
    """A faceted stone; its cut is one of round, oval, pear, marquise, emerald and princess."""
    if cut in CORNERS:
        rings = [_cut_square(half, height, CORNERS[cut]) for half, height in STEPS]
        points = np.concatenate([*rings, [[0, 0, -0.74]]])
    else:
        rings = [_ring(*ring) for ring in BRILLIANT]
        points = np.concatenate([*rings, [[0, 0, -0.82]]])
    return faceted(outline(cut, points))


def set_stone(metal: str, stone: str, cut: str, setting: str = "prong", prongs: int = 4) -> Parts:
    """A stone in its setting.

    Args:
        metal: Of the setting.
        stone: Of the stone.
        cut: Of the stone.
        setting: "prong" or "bezel".
        prongs: How many claws hold it.
    """
    parts = Parts()
    parts.add(stone, gem(cut), "stones")
    if setting == "bezel":
        parts.add(metal, tube(_girdle(cut, 1.03), 0.13, True, sides=8))
        parts.add(metal, tube(_girdle(cut, 1.03) * 0.75 - [0, 0, 0.5], 0.09, True, sides=6))
        return parts
    parts.add(metal, tube(_girdle(cut, 0.62) - [0, 0, 0.42], 0.07, True, sides=6))
    for number in range(max(prongs, 3)):
        parts.add(metal, _prong(cut, 2 * np.pi * (number + 0.5) / max(prongs, 3)))
    return parts


def collet(metal: str, stone: str, wall: float = 0.16) -> Parts:
    """A round stone in a plain ring of metal, as it is set into bands and plates."""
    parts = Parts()
    parts.add(stone, gem("round"), "stones")
    parts.add(metal, tube(circle(1.08, 24), wall, True, sides=6))
    return parts


def _girdle(cut: str, radius: float) -> Vector:
    if cut not in CORNERS:
        return outline(cut, circle(radius, 48))
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    corner = 0.30 if cut == "emerald" else 0.14
    power = 2 / corner
    reach = (np.abs(np.cos(angles)) ** power + np.abs(np.sin(angles)) ** power) ** (-1 / power)
    return outline(cut, circle(radius, 48) * reach[:, None])


def _prong(cut: str, angle: float) -> Mesh:
    stretch = 1.22 if cut == "princess" else 1.08 if cut == "emerald" else 1.0
    edge = stretch * np.array([np.cos(angle), np.sin(angle), 0.0])
    bends = [0.55 * edge, 0.95 * edge, 1.02 * edge, 0.88 * edge]
    path = outline(cut, np.array(bends)) + np.outer([-0.7, -0.1, 0.10, 0.22], [0, 0, 1])
    return tube(path, 0.085, sides=6)


def _ring(count: int, radius: float, height: float, shift: float) -> Vector:
    angles = 2 * np.pi * (np.arange(count) + shift) / count
    return np.stack([radius * np.cos(angles), radius * np.sin(angles), np.full(count, height)], -1)


def _cut_square(half: float, height: float, corner: float) -> Vector:
    short = half * (1 - corner)
    sides = [(x * a, y * b, height) for x in (-1, 1) for y in (-1, 1) for a, b in ((half, short), (short, half))]
    return np.array(sides)
