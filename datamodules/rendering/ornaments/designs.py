"""What an ornament is, before it has a size or a place: drawn choices and proportions, and their split into sets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from datamodules.rendering.ornaments.catalogue import METALS, PendantDesign
from datamodules.rendering.ornaments.choices import KINDS, Choices, pick
from datamodules.samples.seeding import hash_fraction

METAL_CHANCES = (0.36, 0.22, 0.18, 0.10, 0.08, 0.06)
HELD_OUT = 0.05


@dataclass(frozen=True)
class Design:
    """An ornament. What its kind does not have is "", 0 or None.

    Everything but the fractions (floats) is discrete, and decides about the set that the design belongs to.

    Attributes:
        category: "bracelet", "ring", "earring" or "necklace".
        kind: One of ``KINDS[category]``.
        metal: Of what holds it together.
        stone: Material of the main stones.
        accent: Material of the stones, beads or strands beside them.
        bead: Material of the beads or of an inlay.
        cut: Of the main stones.
        setting: "prong" or "bezel".
        prongs: How many hold a stone.
        links: Style of a chain.
        strands: How many wires are twisted, or chains hang.
        turns: Of twisted wires.
        parts: How many charms, stations or drops.
        every: Each how many beads an accent comes.
        motif: What a stud shows.
        pendant: What hangs from it.
        roughness: Of the metal, in [0.03, 0.26].
        size: Of stones and parts, around 1.
        link_ratio: Width of a link over its length.
        link_wire: Radius of its wire over its length.
        flatness: Width of a band over its usual width.
        band: Thickness of a band, or of a hoop, over its usual thickness.
        slack: How loosely a bracelet hangs, in [0.02, 0.22].
        length: From the shortest (0) to the longest (1) of its kind.
    """

    category: str
    kind: str
    metal: str
    stone: str = ""
    accent: str = ""
    bead: str = ""
    cut: str = ""
    setting: str = ""
    prongs: int = 0
    links: str = ""
    strands: int = 0
    turns: int = 0
    parts: int = 0
    every: int = 0
    motif: str = ""
    pendant: PendantDesign | None = None
    roughness: float = 0.1
    size: float = 1.0
    link_ratio: float = 0.7
    link_wire: float = 0.1
    flatness: float = 1.0
    band: float = 1.0
    slack: float = 0.1
    length: float = 0.5


def draw_design(rng: np.random.Generator, category: str, kind: str | None = None) -> Design:
    """Draw an ornament.

    Args:
        rng: Draws it.
        category: One of ``KINDS``.
        kind: One of ``KINDS[category]``; by default each has the same chance.

    Raises:
        ValueError: If there is no such category or kind.
    """
    if category not in KINDS:
        raise ValueError(f"category must be one of {', '.join(KINDS)}, got {category!r}")
    kind = kind or pick(rng, tuple(KINDS[category]))
    if kind not in KINDS[category]:
        raise ValueError(f"kind of {category} must be one of {', '.join(KINDS[category])}, got {kind!r}")
    metal = pick(rng, METALS, METAL_CHANCES)
    choices = KINDS[category][kind](rng, metal)
    return Design(category, kind, metal, **choices, **_proportions(rng))


def design_split(design: Design) -> str:
    """The set of a design, "train" (90 %), "val" or "test": the same for all designs with the same choices.

    Designs that differ only in fractions (sizes, proportions, roughness) look alike, so they stay together, and what
    validation and test show is never a combination that was trained on.
    """
    choices = _discrete(asdict(design))
    fraction = hash_fraction("design", *choices)
    return "test" if fraction < HELD_OUT else "val" if fraction < 2 * HELD_OUT else "train"


def _discrete(fields: Mapping[str, Any]) -> list[str]:
    names: list[str] = []
    for name in sorted(fields):
        value = fields[name]
        if isinstance(value, Mapping):
            names += [f"{name}.{inner}" for inner in _discrete(value)]
        elif not isinstance(value, float):
            names.append(f"{name}={value}")
    return names


def _proportions(rng: np.random.Generator) -> Choices:
    finish = rng.choice([0.04, 0.08, 0.14, 0.24])
    return {
        "roughness": float(finish * rng.uniform(0.9, 1.1)),
        "size": float(rng.uniform(0.8, 1.25)),
        "link_ratio": float(rng.uniform(0.55, 0.85)),
        "link_wire": float(rng.uniform(0.085, 0.125)),
        "flatness": float(rng.uniform(0.5, 1.8)),
        "band": float(rng.uniform(0.8, 1.4)),
        "slack": float(rng.uniform(0.02, 0.22)),
        "length": float(rng.uniform(0.0, 1.0)),
    }
