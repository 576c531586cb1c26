"""Ornaments: designs, and their shapes in a frame of their own (rigid pieces) or along a curve (flexible ones)."""

from collections.abc import Callable

from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.bands import bangle, cuff, twist
from datamodules.rendering.ornaments.catalogue import PendantDesign
from datamodules.rendering.ornaments.choices import KINDS
from datamodules.rendering.ornaments.designs import Design, design_split, draw_design
from datamodules.rendering.ornaments.earrings import EARRING_KINDS
from datamodules.rendering.ornaments.parts import Parts
from datamodules.rendering.ornaments.rings import RING_KINDS
from datamodules.rendering.ornaments.strands import STRANDS

__all__ = ["KINDS", "RIGID", "STRANDS", "Design", "PendantDesign", "design_split", "draw_design", "is_flexible"]

RIGID: dict[tuple[str, str], Callable[[Design, Fit], Parts]] = {
    ("bracelet", "bangle"): bangle,
    ("bracelet", "twist"): twist,
    ("bracelet", "cuff"): cuff,
    **{("ring", kind): build for kind, build in RING_KINDS.items()},
    **{("earring", kind): build for kind, build in EARRING_KINDS.items()},
}


def is_flexible(design: Design) -> bool:
    """Whether a piece lies on a curve, instead of keeping its shape."""
    return (design.category, design.kind) in STRANDS
