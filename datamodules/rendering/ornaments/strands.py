"""Flexible pieces: beads, chains and rows of stones on a closed curve, with what hangs from them."""

from collections.abc import Callable

import numpy as np

from datamodules.rendering.geometry.tubes import lathe, tube
from datamodules.rendering.geometry.vectors import Vector, columns
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.catalogue import GEMS, PENDANTS, PendantDesign
from datamodules.rendering.ornaments.curves import Frames, Strand, turned
from datamodules.rendering.ornaments.designs import Design
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.pendants import WIDTH, pendant
from datamodules.rendering.ornaments.shapes import faceted_bead, link, sphere
from datamodules.rendering.ornaments.stones import gem

CUP = np.array(
    [[0.0, -0.62], [0.25, -0.60], [0.7, -0.55], [1.02, -0.3], [1.10, -0.02], [1.04, 0.06], [0.98, 0.0], [0.0, -0.5]]
)
FRONT_SHARE = 0.42
FRINGE_SHARE = 0.36
SPACING = 1.06


def beads(design: Design, fit: Fit, strand: Strand) -> Parts:
    """Equal beads, and an accent every few of them."""
    count = max(int(fit.length / (2 * fit.scale)), 8)
    accents = np.arange(count) % design.every == 0
    radii = np.where(accents, 1.12, 1.0) * fit.scale
    return _string(design, fit, strand, radii, [design.accent if accent else design.bead for accent in accents])


def hung_beads(design: Design, fit: Fit, strand: Strand) -> Parts:
    """Beads with a pendant in front."""
    parts = beads(design, fit, strand)
    _hang_in_front(parts, design, strand, 6.5 * fit.scale)
    return parts


def pearls(design: Design, fit: Fit, strand: Strand) -> Parts:
    """Equal pearls."""
    count = max(int(fit.length / (2 * fit.scale)), 8)
    return _string(design, fit, strand, np.full(count, fit.scale), [design.bead] * count)


def graduated(design: Design, fit: Fit, strand: Strand) -> Parts:
    """Beads that grow towards the front."""
    count = int(fit.length / (1.8 * fit.scale))
    for _ in range(3):
        count = int(count * fit.length / (2 * _graduated_radii(count, fit, strand).sum()))
    return _string(design, fit, strand, _graduated_radii(count, fit, strand), [design.bead] * count)


def chain(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A chain with large links."""
    return _chain(design, fit, strand, 3.2 * fit.scale)


def charms(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A chain with different charms, spread over its front."""
    parts = _chain(design, fit, strand, 2.6 * fit.scale)
    places, size = charm_places(design.parts, fit, 4.2 * fit.scale)
    for number, place in enumerate(places):
        _hang(parts, _next_charm(design.pendant, number), design.metal, strand, strand.front + place, size)
    return parts


def charm_places(count: int, fit: Fit, size: float) -> tuple[Vector, float]:
    """Where charms hang, so that they do not touch.

    Args:
        count: How many.
        fit: Has the length of the curve.
        size: Wanted for each.

    Returns:
        Lengths (count,) along the curve from its front, and the size that leaves room for all.
    """
    room = FRONT_SHARE * fit.length / count
    size = min(size, room / (SPACING * WIDTH))
    spacing = min(max(room, SPACING * WIDTH * size), 2.2 * size)
    return np.asarray((np.arange(count) - (count - 1) / 2) * spacing), size


def hung_chain(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A fine chain with a pendant."""
    parts = _chain(design, fit, strand, 1.7 * fit.scale)
    _hang_in_front(parts, design, strand, 9 * fit.scale)
    return parts


def stations(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A fine chain with beads at equal distances."""
    parts = _chain(design, fit, strand, 1.7 * fit.scale)
    places = (np.arange(design.parts) + 0.5) * strand.curve.length / design.parts + strand.front
    frames = strand.curve.at(places)
    parts.attach(
        _bead(design.bead), frames.positions + 0.5 * fit.scale * frames.outwards, _axes(frames), 1.45 * fit.scale
    )
    return parts


def fringe(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A fine chain with a row of pendants that grow towards the middle."""
    parts = _chain(design, fit, strand, 1.7 * fit.scale)
    steps = np.abs(np.arange(design.parts) - (design.parts - 1) / 2)
    sizes = fit.scale * (7.0 - 6.0 * steps / design.parts)
    sizes *= min(1.0, FRINGE_SHARE * fit.length / (SPACING * WIDTH * sizes.sum()))
    widths = SPACING * WIDTH * sizes
    places = np.cumsum(widths) - widths / 2 - widths.sum() / 2
    for place, size in zip(places, sizes, strict=True):
        _hang(parts, design.pendant, design.metal, strand, strand.front + place, float(size))
    return parts


def row_of_stones(design: Design, fit: Fit, strand: Strand) -> Parts:
    """A tennis bracelet or a rivière: stones in cups, one beside the other."""
    radius = fit.scale * (1.0 if design.category == "bracelet" else 0.85)
    count = max(int(fit.length / (2.14 * radius)), 3)
    frames = strand.curve.at((np.arange(count) + 0.5) * strand.curve.length / count + strand.front)
    axes = columns(frames.along, -frames.aside, frames.outwards)
    raised = frames.positions + 0.25 * radius * frames.outwards
    parts = Parts()
    parts.attach(_cup(design), raised, axes, radius)
    rail = strand.curve.at(np.linspace(0, strand.curve.length, 240, endpoint=False))
    wire = tube(rail.positions - 0.1 * radius * rail.outwards, 0.25 * radius, True, rail.outwards, sides=6)
    parts.add(design.metal, wire, "strands")
    return parts


def _cup(design: Design) -> Parts:
    parts = single(design.stone, gem(design.cut), "stones")
    spread = 1.25 if design.cut == "princess" else 1.0
    parts.add(design.metal, lathe(CUP, 20))
    angles = np.pi / 4 + np.arange(4) * np.pi / 2
    corners = np.stack([spread * 1.02 * np.cos(angles), spread * 1.02 * np.sin(angles), np.full(4, 0.13)], -1)
    parts.attach(single(design.metal, sphere(10, 8)), corners, scales=0.17)
    return parts


def _string(design: Design, fit: Fit, strand: Strand, radii: Vector, materials: list[str]) -> Parts:
    """Beads that fill the curve, on a thin wire; ``radii`` are fitted to its length."""
    stretch = strand.curve.length / (2 * radii.sum())
    frames = strand.curve.at((2 * np.cumsum(radii) - radii) * stretch)
    axes, parts = _axes(frames), Parts()
    for material in sorted(set(materials)):
        these = np.array([name == material for name in materials])
        parts.attach(_bead(material), frames.positions[these], axes[these], 0.985 * stretch * radii[these])
    wire = strand.curve.at(np.linspace(0, strand.curve.length, 160, endpoint=False)).positions
    parts.add(design.metal, tube(wire, 0.16 * fit.scale, True, sides=6), "strands")
    return parts


def _bead(material: str) -> Parts:
    return single(material, faceted_bead() if material in GEMS else sphere(), "beads")


def _axes(frames: Frames) -> Vector:
    return columns(frames.along, frames.outwards, frames.aside)


def _graduated_radii(count: int, fit: Fit, strand: Strand) -> Vector:
    """Radii (count,) that belong to where the beads come to lie, found by trying a few times."""
    radii = np.ones(count)
    for _ in range(8):
        places = (np.cumsum(radii) - radii / 2) / radii.sum()
        from_front = np.abs(places - (strand.front / strand.curve.length) % 1)
        share = 2 * np.minimum(from_front, 1 - from_front)
        radii = 1.45 - 0.9 * share**0.8
    return np.asarray(fit.scale * radii)


def _chain(design: Design, fit: Fit, strand: Strand, length: float) -> Parts:
    """Links of about ``length``, each hooked into the next."""
    wire = design.link_wire
    width = 0.95 if design.links == "rolo" else max(design.link_ratio, 6 * wire)
    pitch = 0.66 if design.links == "curb" else 1 - 3.6 * wire
    count = 2 * max(round(fit.length / (length * pitch) / 2), 6)
    step = strand.curve.length / count
    frames = strand.curve.at((np.arange(count) + 0.5) * step)
    sides = np.where(np.arange(count) % 2 == 0, 1.0, -1.0)
    axes = turned(frames, np.full(count, 0.5) if design.links == "curb" else sides * np.pi / 4)
    parts = Parts()
    parts.attach(single(design.metal, link(width, wire), "links"), frames.positions, axes, step / pitch)
    parts.components["strands"] += 1
    return parts


def _next_charm(first: PendantDesign | None, number: int) -> PendantDesign:
    """The charms of a bracelet come in the order of ``PENDANTS``, from the one that was drawn."""
    design = first or PendantDesign("disc")
    kind = PENDANTS[(PENDANTS.index(design.kind) + number) % len(PENDANTS)]
    stone = design.stone or ("diamond" if kind in ("stone", "halo") else "")
    return PendantDesign(kind, design.cut or "round", stone, design.accent or "diamond")


def _hang_in_front(parts: Parts, design: Design, strand: Strand, size: float) -> None:
    _hang(parts, design.pendant, design.metal, strand, strand.front, size)


def _hang(parts: Parts, design: PendantDesign | None, metal: str, strand: Strand, place: float, size: float) -> None:
    if design is None:
        raise ValueError("a piece with pendants needs the design of one, got none")
    hung = pendant(design, metal)
    back = -size * min(float(mesh.vertices[:, 2].min()) for mesh in hung.meshes().values())
    top, axes = strand.hang(strand.curve.at(np.array([place])), size, back)
    parts.attach(hung, top, axes, size)


StrandKind = Callable[[Design, Fit, Strand], Parts]

STRANDS: dict[tuple[str, str], StrandKind] = {
    ("bracelet", "beads"): beads,
    ("bracelet", "chain"): chain,
    ("bracelet", "charm"): charms,
    ("bracelet", "tennis"): row_of_stones,
    ("necklace", "pearls"): pearls,
    ("necklace", "chain_pendant"): hung_chain,
    ("necklace", "beads_pendant"): hung_beads,
    ("necklace", "graduated"): graduated,
    ("necklace", "station"): stations,
    ("necklace", "tennis"): row_of_stones,
    ("necklace", "fringe"): fringe,
}
