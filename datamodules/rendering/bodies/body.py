"""What a part of a body gives to those who put an ornament on it."""

from dataclasses import dataclass
from typing import Any

from datamodules.rendering.bodies.skin import Pigment
from datamodules.rendering.geometry.fields import DistanceField
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import Vector


@dataclass(frozen=True, eq=False)
class Body:
    """A part of a body, without the tone of its skin.

    Attributes:
        surfaces: Meshes by surface: "skin", "nail", "hair", "cloth"; those that there are.
        pigment: How the skin's colour varies over the vertices of "skin".
        field: Distance to everything that an ornament can touch.
        info: What was drawn, JSON-able.
    """

    surfaces: dict[str, Mesh]
    pigment: Pigment
    field: DistanceField
    info: dict[str, Any]

    def painted(self, tone: Vector) -> dict[str, Mesh]:
        """The surfaces, with the skin coloured for a tone (3,), sRGB in [0, 1]."""
        skin = self.surfaces["skin"]._replace(colors=self.pigment.colors(tone))
        return {**self.surfaces, "skin": skin}
