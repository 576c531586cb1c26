"""A photographer's studio as an image of the whole sphere: sky and floor, soft boxes, little lamps, dark cards."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.geometry.vectors import Vector, across, unit

HEIGHT, WIDTH = 128, 256
EDGE = 10.0
LAMP_EDGE = 60.0


class Dome(NamedTuple):
    """Light from all sides.

    Attributes:
        radiance: (:data:`HEIGHT`, :data:`WIDTH`, 3) linear RGB from each of :func:`directions`.
        info: What was drawn, JSON-able.
    """

    radiance: NDArray[np.float32]
    info: dict[str, Any]


def directions(height: int = HEIGHT, width: int = WIDTH) -> Vector:
    """Unit vectors to the middles of the pixels of a sphere's image, (height, width, 3), in Mitsuba's convention."""
    theta = (np.arange(height)[:, None] + 0.5) / height * np.pi
    phi = (np.arange(width)[None] + 0.5) / width * 2 * np.pi
    parts = np.sin(theta) * np.sin(phi), np.cos(theta) + 0 * phi, -np.sin(theta) * np.cos(phi)
    return np.stack(parts, -1)


def solid_angles(height: int = HEIGHT, width: int = WIDTH) -> Vector:
    """Steradians of each pixel, (height, width); they add up to 4 pi."""
    bounds = np.cos(np.linspace(0, np.pi, height + 1))
    return np.repeat((bounds[:-1] - bounds[1:])[:, None], width, 1) * (2 * np.pi / width)


def irradiance(radiance: NDArray[Any], normal: Vector) -> float:
    """What a flat surface receives, as the mean of the colours: pi times the radiance if that is the same everywhere.

    Args:
        radiance: (height, width, 3).
        normal: (3,) unit vector.
    """
    height, width = radiance.shape[:2]
    cosine = np.clip(directions(height, width) @ normal, 0, 1)
    return float((radiance.mean(-1) * cosine * solid_angles(height, width)).sum())


def draw_dome(rng: np.random.Generator, up: Vector, key: Vector | None = None) -> Dome:
    """Draw a studio.

    Args:
        rng: Source of chance.
        up: (3,) unit vector to the sky.
        key: (3,) direction of the strongest soft box; None for anywhere above.
    """
    toward = directions()
    radiance = _sky(rng, toward @ up)
    boxes = []
    for index in range(int(rng.integers(2, 5))):
        center = unit(key) if key is not None and index == 0 else _above(rng, up)
        size = rng.uniform(0.18, 0.6), rng.uniform(0.18, 0.7)
        power = rng.uniform(4, 12) * (1.5 if index == 0 else 0.6)
        radiance += _soft_box(rng, toward, center, size)[..., None] * power * _tint(rng)
        boxes.append({"direction": np.round(center, 4).tolist(), "size": np.round(size, 4).tolist(), "power": power})
    lamps = int(rng.integers(3, 9))
    for _ in range(lamps):
        radiance += _lamp(rng, toward, _above(rng, up))[..., None] * rng.uniform(8, 18) * _tint(rng)
    for _ in range(int(rng.integers(2, 5))):
        radiance *= 1 - 0.9 * np.clip((toward @ _anywhere(rng) - 0.86) * 20, 0, 1)[..., None]
    return Dome(radiance.astype(np.float32), {"boxes": boxes, "lamps": lamps})


def _sky(rng: np.random.Generator, height: Vector) -> Vector:
    warmth, brightness = rng.uniform(-0.12, 0.12), rng.uniform(0.25, 0.7)
    top = np.array([1 - warmth, 1.0, 1 + warmth]) * brightness
    floor = np.array([1.08, 1.0, 0.92]) * brightness * rng.uniform(0.15, 0.5)
    share = np.clip((height[..., None] + 0.5) / 1.2, 0, 1)
    return np.asarray(floor + (top - floor) * share)


def _soft_box(rng: np.random.Generator, toward: Vector, center: Vector, size: tuple[float, float]) -> Vector:
    first = across(unit(rng.normal(size=3)), center)
    second = np.cross(center, first)
    depth = toward @ center
    scale = np.maximum(depth, 1e-3)
    x, y = toward @ first / scale / size[0], toward @ second / scale / size[1]
    return np.asarray(_step(1 - np.abs(x), EDGE) * _step(1 - np.abs(y), EDGE) * (depth > 0.05))


def _lamp(rng: np.random.Generator, toward: Vector, center: Vector) -> Vector:
    radius = np.radians(rng.uniform(2.5, 5.0))
    angle = np.arccos(np.clip(toward @ center, -1, 1))
    return _step(1 - angle / radius, LAMP_EDGE / 10)


def _step(value: Vector, sharpness: float) -> Vector:
    """0 where ``value`` is negative, 1 where it is positive, with a soft edge."""
    return np.asarray(1 / (1 + np.exp(np.clip(-sharpness * value, -40, 40))))


def _tint(rng: np.random.Generator) -> Vector:
    warmth = rng.uniform(-0.12, 0.12)
    return np.array([1 + warmth, 1.0, 1 - warmth])


def _above(rng: np.random.Generator, up: Vector) -> Vector:
    """A direction 3 to 70 degrees over the horizon."""
    elevation = rng.uniform(0.05, 1.2)
    level = across(unit(rng.normal(size=3)), up)
    return np.asarray(np.cos(elevation) * level + np.sin(elevation) * up)


def _anywhere(rng: np.random.Generator) -> Vector:
    return np.asarray(unit(rng.normal(size=3)))
