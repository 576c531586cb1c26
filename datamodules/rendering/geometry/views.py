"""What the geometry hands to the renderer: an ornament worn, and the same ornament laid on a table."""

from dataclasses import dataclass, field
from typing import Any

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import Vector


@dataclass(frozen=True)
class Fit:
    """What trying on settles about an ornament, so that every image of it shows the same thing.

    Lengths are in the units of the body that it was fitted to.

    Attributes:
        scale: Radius of a bead or a wire, half width of a band, or height of the ear: the unit of the small parts.
        length: Along the closed curve of a flexible piece; 0 for rigid ones.
        inner_radius: Of a band along its wide axis, or of a hoop; 0 for others.
        ellipticity: Narrow over wide axis of a band, in (0, 1].
    """

    scale: float
    length: float = 0.0
    inner_radius: float = 0.0
    ellipticity: float = 1.0


@dataclass(frozen=True)
class Camera:
    """A perspective camera with a square image.

    Attributes:
        target: (3,) the point in the middle of the image.
        direction: (3,) unit vector from the target to the camera.
        up: (3,) unit vector that is up in the image; not along ``direction``.
        width: Of what is seen in the plane of the target.
        fov: Horizontal angle of view in degrees.
    """

    target: Vector
    direction: Vector
    up: Vector
    width: float
    fov: float


@dataclass(frozen=True)
class WornView:
    """Somebody wears the ornament.

    Attributes:
        ornament: Meshes by material.
        body: Meshes by surface: "skin" (with colours), "nail", "hair", "cloth"; those that there are.
        camera: Where it is seen from.
        backdrop_normal: (3,) unit vector from the backdrop's plane to the camera.
        backdrop_distance: Of that plane behind the target.
        light_up: (3,) up direction of the dome of light.
        components: How many stones, beads, links, strands and pendants the ornament has; only what there is.
        fit: What the laid image shares.
        info: What was drawn, JSON-able.
    """

    ornament: dict[str, Mesh]
    body: dict[str, Mesh]
    camera: Camera
    backdrop_normal: Vector
    backdrop_distance: float
    light_up: Vector
    components: dict[str, int]
    fit: Fit
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LaidView:
    """The ornament alone on a table, whose surface is the plane z = ``plane``.

    Attributes:
        ornament: Meshes by material.
        camera: Where it is seen from.
        plane: Height of the table.
        components: As worn.
        info: What was drawn, JSON-able.
    """

    ornament: dict[str, Mesh]
    camera: Camera
    plane: float
    components: dict[str, int]
    info: dict[str, Any] = field(default_factory=dict)
