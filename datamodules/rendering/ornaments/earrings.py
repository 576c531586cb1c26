"""Earrings: they hang from the origin, x is aside, y up, z out of the ear; ``Fit.scale`` is about the ear's height."""

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.tubes import tube
from datamodules.rendering.geometry.vectors import Points, Vector, X, Y, Z, columns
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.catalogue import GEMS
from datamodules.rendering.ornaments.designs import Design
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.pendants import pendant
from datamodules.rendering.ornaments.shapes import faceted_bead, link, plate, sphere
from datamodules.rendering.ornaments.stones import gem, set_stone

FRONT = 0.03 * Z
BEAD_AXES = columns(Y, X, -Z)


def hoop(design: Design, fit: Fit) -> Parts:
    """A ring through the lobe, in the plane of y and z; plain or twisted, perhaps with stones in front."""
    radius, wire = fit.inner_radius / fit.scale, 0.026 * design.band
    angles = np.linspace(0, 2 * np.pi, 240 if design.strands == 1 else 480, endpoint=False)
    out = np.outer(np.cos(angles), Z) + np.outer(np.sin(angles), Y)
    center = -0.98 * radius * Y
    parts = Parts()
    for strand in range(design.strands):
        phase = angles * design.turns + np.pi * strand
        swing = 0.0 if design.strands == 1 else 0.7 * wire
        path = center + (radius + swing * np.cos(phase))[:, None] * out + np.outer(swing * np.sin(phase), X)
        parts.add(design.metal, tube(path, wire * (1.0 if design.strands == 1 else 0.75), True, sides=10), "strands")
    if design.stone:
        parts.attach(*_paving(design, center, radius, wire))
    return _sized(parts, fit)


def stud(design: Design, fit: Fit) -> Parts:
    """A pearl, a stone or a small plate on the lobe."""
    radius = 0.085 + 0.05 * design.length
    parts = Parts()
    if design.motif == "pearl":
        parts.attach(single("pearl", sphere(32, 20), "beads"), 0.9 * radius * Z, scales=radius)
    elif design.motif == "stone":
        head = set_stone(design.metal, design.stone, design.cut, design.setting, design.prongs)
        parts.attach(head, 0.7 * radius * Z, scales=radius)
    else:
        parts.attach(single(design.metal, plate(design.motif, 0.2)), 0.25 * radius * Z, scales=1.1 * radius)
    return _sized(parts, fit)


def drop(design: Design, fit: Fit) -> Parts:
    """A pendant on a short chain, from a hook or from a stone."""
    parts, start = _top(design, design.stone)
    count = max(int((0.18 + 0.5 * design.length) * 0.5 / 0.05), 3)
    end = start - 0.04 * count
    _add_chain(parts, design, start, end, count, 0.0)
    if design.pendant is not None:
        parts.attach(pendant(design.pendant, design.metal), (end + 0.02) * Y + FRONT, scales=0.42 * design.size)
    return _sized(parts, fit)


def tassel(design: Design, fit: Fit) -> Parts:
    """Several chains with a bead at the end of each."""
    parts, start = _top(design, design.accent)
    length = 0.18 + 0.5 * design.length
    for strand in range(design.strands):
        from_middle = strand - (design.strands - 1) / 2
        reach = length * (1 + 0.35 * np.cos(0.9 * from_middle))
        count = max(int(reach / 0.05), 4)
        aside = 0.052 * from_middle
        _add_chain(parts, design, start, start - reach, count, aside)
        material = design.bead if strand % 2 else design.stone
        parts.attach(_ball(material), np.array([aside, start - reach - 0.045, 0.03]), BEAD_AXES, 0.05)
    return _sized(parts, fit)


def bead_drop(design: Design, fit: Fit) -> Parts:
    """Beads on a wire below a hook, larger or smaller by turns."""
    parts = single(design.metal, _hook())
    materials = [design.bead, design.stone, design.metal] if design.stone else [design.bead, design.metal]
    height = -0.02
    for number in range(design.parts):
        radius = 0.04 if number % 2 else 0.055
        height -= radius
        parts.attach(_ball(materials[number % len(materials)]), height * Y + 0.045 * Z, BEAD_AXES, radius)
        height -= radius
    parts.add(design.metal, _wire([0.02 * Y, -0.02 * Y + 0.045 * Z, (height - 0.01) * Y + 0.045 * Z], 0.018))
    return _sized(parts, fit)


def chandelier(design: Design, fit: Fit) -> Parts:
    """A stone, a bow below it, and drops from the bow."""
    parts = Parts()
    prongs = 4 if design.setting == "prong" else 0
    parts.attach(set_stone(design.metal, design.stone, "round", design.setting, prongs), 0.05 * Z, scales=0.075)
    parts.add(design.metal, _wire(_bow(np.linspace(0, 1, 40)), 0.022))
    for end in _bow(np.array([0.0, 1.0])):
        parts.add(design.metal, _wire([-0.07 * Y + FRONT, end], 0.014))
    shares = np.linspace(0, 1, design.parts)
    for number, (share, place) in enumerate(zip(shares, _bow(shares), strict=True)):
        below = place - 0.12 * (1 + 0.8 * np.sin(np.pi * share)) * Y
        parts.add(design.metal, _wire([place, below], 0.010))
        parts.attach(_ball(design.bead if number % 2 else design.stone), below - 0.03 * Y, BEAD_AXES, 0.036)
    return _sized(parts, fit)


def _sized(parts: Parts, fit: Fit) -> Parts:
    sized = Parts()
    sized.attach(parts, np.zeros(3), scales=fit.scale)
    return sized


def _paving(design: Design, center: Vector, radius: float, wire: float) -> tuple[Parts, Vector, Vector, float]:
    count = int(9 + 40 * radius)
    angles = -np.pi / 2 + np.linspace(-1.25, 1.25, count)
    out = np.outer(np.cos(angles), Z) + np.outer(np.sin(angles), Y)
    size = min(1.15 * wire, 1.2 * radius / count)
    stone = single(design.stone, gem("round"), "stones")
    return stone, center + (radius + 0.9 * wire) * out, columns(np.cross(X, out), X, out), size


def _top(design: Design, stone: str) -> tuple[Parts, float]:
    """A stone in a bezel or a hook, and the height at which a chain begins below it."""
    if not stone:
        return single(design.metal, _hook()), 0.01
    parts = Parts()
    parts.attach(set_stone(design.metal, stone, "round", "bezel"), 0.05 * Z, scales=0.065)
    return parts, -0.06


def _add_chain(parts: Parts, design: Design, start: float, end: float, count: int, aside: float) -> None:
    """Links from ``start`` down to ``end`` that reach ``aside`` soon; each is hooked into the next."""
    step = (start - end) / count
    heights = start - (np.arange(count) + 0.5) * step
    shift = aside * np.minimum(1.0, 3 * np.arange(count) / count)
    places = np.outer(shift, X) + np.outer(heights, Y) + FRONT
    sides = np.where(np.arange(count) % 2 == 0, np.pi / 4, -np.pi / 4)
    z = np.outer(np.cos(sides), Z) + np.outer(np.sin(sides), X)
    down = np.tile(-Y, (count, 1))
    parts.attach(
        single(design.metal, link(0.66, 0.105), "links"), places, columns(down, np.cross(z, down), z), step / 0.62
    )
    parts.components["strands"] += 1


def _ball(material: str) -> Parts:
    return single(material, faceted_bead() if material in GEMS else sphere(), "beads")


def _bow(shares: Points) -> Vector:
    angles = np.pi * (1.08 + 0.84 * np.asarray(shares))
    points = [0.22 * np.cos(angles), -0.14 + 0.176 * np.sin(angles), np.full(len(angles), 0.03)]
    return np.stack(points, -1)


def _wire(points: list[Vector] | Vector, radius: float) -> Mesh:
    return tube(np.asarray(points), radius, sides=8)


def _hook() -> Mesh:
    """A fish hook: from the front of the lobe through it and down behind."""
    angles = np.linspace(-0.25, 1.05 * np.pi, 30)
    path = np.outer(0.10 * np.sin(angles) + 0.02, Y) + np.outer(0.10 * np.cos(angles) - 0.10, Z)
    return _wire(path, 0.016)


EARRING_KINDS = {
    "hoop": hoop,
    "drop": drop,
    "beads": bead_drop,
    "chandelier": chandelier,
    "pearl": drop,
    "stud": stud,
    "chain": tassel,
}
