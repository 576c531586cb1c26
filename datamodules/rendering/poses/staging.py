"""Where an ornament sits, and from where it is seen."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.vectors import Vector, across, unit
from datamodules.rendering.geometry.views import Camera, Fit
from datamodules.rendering.ornaments.parts import Parts

MARGIN = 0.46


@dataclass(frozen=True, eq=False)
class Placed:
    """An ornament where it is worn.

    Attributes:
        parts: The ornament.
        fit: What trying on settled.
        facing: (3,) unit vector to where it is seen best from.
        up: (3,) unit vector that is up in the image, about.
        place: (3,) about where it is.
        info: What was drawn, JSON-able.
    """

    parts: Parts
    fit: Fit
    facing: Vector
    up: Vector
    place: Vector
    info: dict[str, Any] = field(default_factory=dict)


class Stage(NamedTuple):
    """How a worn ornament is shown.

    Attributes:
        direction: (3,) from the ornament to the camera.
        up: (3,) up in the image.
        anchor: (3,) point of the body that belongs into the image.
        share: Of the anchor in the target of the camera, in [0, 1]; the rest is the ornament's.
        width: Wanted of the image.
        backdrop_normal: (3,) towards the camera.
        backdrop_distance: Behind the target.
        light_up: (3,) up direction of the light.
    """

    direction: Vector
    up: Vector
    anchor: Vector
    share: float
    width: float
    backdrop_normal: Vector
    backdrop_distance: float
    light_up: Vector


def extent(meshes: Mapping[str, Mesh], direction: Vector, up: Vector) -> tuple[Vector, float]:
    """Middle (3,) of what a camera sees of meshes, at their median depth, and the larger side of it."""
    points = np.concatenate([mesh.vertices for mesh in meshes.values()]).astype(np.float64)
    right = unit(np.cross(up, direction))
    above = np.cross(direction, right)
    columns, rows, depth = points @ right, points @ above, points @ direction
    middle = right * _middle(columns) + above * _middle(rows) + direction * float(np.median(depth))
    return middle, float(max(np.ptp(columns), np.ptp(rows)))


def aim(meshes: Mapping[str, Mesh], stage: Stage, rng: np.random.Generator) -> Camera:
    """A camera that has the whole ornament in its image, and the anchor as near to its middle as that allows."""
    middle, size = extent(meshes, stage.direction, stage.up)
    width = max(stage.width, size * float(rng.uniform(1.25, 1.6)))
    right = unit(np.cross(stage.up, stage.direction))
    above = np.cross(stage.direction, right)
    shift = stage.share * (stage.anchor - middle)
    room = MARGIN * width - size / 2
    target = middle + (shift @ stage.direction) * stage.direction
    for axis in (right, above):
        target = target + axis * np.clip(shift @ axis + width * rng.normal(0, 0.04), -room, room)
    return Camera(target, stage.direction, across(stage.up, stage.direction), width, float(rng.uniform(22, 34)))


def section(points: Vector, first: Vector, second: Vector) -> tuple[Vector, float, float]:
    """Middle (3,) of a ring of points (N, 3) and its half widths along two unit vectors at right angles."""
    one, other = points @ first, points @ second
    flat = points - np.outer(one, first) - np.outer(other, second)
    middle = flat.mean(0) + _middle(one) * first + _middle(other) * second
    return middle, float(np.ptp(one)) / 2, float(np.ptp(other)) / 2


def _middle(values: Vector) -> float:
    return float(values.min() + values.max()) / 2
