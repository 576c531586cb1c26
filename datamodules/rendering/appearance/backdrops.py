"""Images for what lies behind a person and under an ornament: linear RGB, no photographs."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

ImageArray = NDArray[np.float32]
SIZE = 256

BACKDROPS = {"plain": 0.22, "gradient": 0.25, "bokeh": 0.25, "weave": 0.12, "marble": 0.16}
TABLES = {
    "white": 0.34,
    "grey": 0.12,
    "beige": 0.10,
    "black": 0.12,
    "pastel": 0.12,
    "marble": 0.08,
    "weave": 0.06,
    "wood": 0.06,
}


def draw_backdrop(rng: np.random.Generator) -> tuple[str, ImageArray]:
    """Name and image, (:data:`SIZE`, :data:`SIZE`, 3) in [0.01, 0.95], of what is behind a person."""
    name = str(rng.choice(list(BACKDROPS), p=list(BACKDROPS.values())))
    return name, _finish(PAINTERS[name](rng, _color(rng)))


def draw_table(rng: np.random.Generator) -> tuple[str, ImageArray]:
    """Name and image, (:data:`SIZE`, :data:`SIZE`, 3) in [0.01, 0.95], of what an ornament lies on."""
    name = str(rng.choice(list(TABLES), p=list(TABLES.values())))
    flat = {
        "white": np.full(3, 0.84),
        "grey": np.full(3, 0.4),
        "beige": np.array([0.66, 0.55, 0.43]),
        "black": np.full(3, 0.02),
    }
    if name in flat:
        return name, _finish(_plain(rng, flat[name]))
    if name == "pastel":
        return name, _finish(_plain(rng, rng.uniform(0.45, 0.85, 3)))
    return name, _finish(PAINTERS[name](rng, _color(rng)))


def _finish(image: NDArray[np.float64]) -> ImageArray:
    return np.clip(image, 0.01, 0.95).astype(np.float32)


def _color(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.clip(rng.uniform(0.25, 0.9) * (1 + rng.uniform(-0.35, 0.35, 3)), 0.03, 0.95)


def _coordinates() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    return y, x


def _plain(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.ones((SIZE, SIZE, 3)) * color


def _gradient(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = _coordinates()
    share = np.clip(x * rng.uniform(-1, 1) + y, 0, 1)[..., None]
    return color + (_color(rng) - color) * share


def _bokeh(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = _coordinates()
    image = _plain(rng, color * 0.45)
    for _ in range(26):
        center, radius = rng.uniform(0, 1, 2), rng.uniform(0.03, 0.12)
        disk = 1 / (1 + np.exp(np.clip(120 * (np.hypot(x - center[0], y - center[1]) - radius), -40, 40)))
        image += (disk * rng.uniform(0.05, 0.4))[..., None] * _color(rng)
    return image


def _weave(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = _coordinates()
    threads = 2 * np.pi * rng.integers(24, 48)
    return color * (1 + 0.18 * np.sin(x * threads) * np.sin(y * threads))[..., None]


def _marble(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = _coordinates()
    veins = np.zeros((SIZE, SIZE))
    for octave in range(6):
        slope, phase = rng.normal(size=2), rng.uniform(0, 6)
        veins += np.sin((x * slope[0] + y * slope[1]) * 9 * 1.7**octave + phase) / 1.6**octave
    shade = np.clip(0.86 - 0.35 * np.exp(-((veins / 0.12) ** 2)), 0.1, 0.95)[..., None]
    return np.asarray(shade * (0.6 + 0.4 * color / color.max()))


def _wood(rng: np.random.Generator, color: NDArray[np.float64]) -> NDArray[np.float64]:
    y, x = _coordinates()
    bend = 0.05 * np.sin(2 * np.pi * (y * rng.uniform(0.5, 1.5) + rng.uniform())) + 0.02 * np.sin(2 * np.pi * y * 3)
    rings = np.sin((x + bend) * 2 * np.pi * rng.uniform(5, 9)) + 0.4 * np.sin((x + bend) * 2 * np.pi * 23)
    brown = np.array([0.42, 0.24, 0.12]) * rng.uniform(0.5, 1.4)
    return brown * (1 + 0.22 * rings)[..., None]


PAINTERS: dict[str, Callable[[np.random.Generator, NDArray[np.float64]], NDArray[np.float64]]] = {
    "plain": _plain,
    "gradient": _gradient,
    "bokeh": _bokeh,
    "weave": _weave,
    "marble": _marble,
    "wood": _wood,
}
