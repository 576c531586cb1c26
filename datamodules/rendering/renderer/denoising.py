"""Noise out of a path-traced image: non-local means that know their variance and the surfaces (no trained network).

Each pixel becomes a mean of pixels nearby that look alike beyond what noise explains (Rousselle et al., "Adaptive
Rendering with Non-Local Means Filtering", 2012) and whose surface is alike. Colours are divided by the albedo first,
so that textures stay. Metal and cut stones mix only with their like, and less of it.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

RADIUS = 5
BLUNT = 0.55
SHARP = 0.60
NORMAL, ALBEDO, DEPTH = 0.12, 0.06, 0.06
DARKEST_ALBEDO = 0.03
FIREFLY, FIREFLY_SHARP = 2.5, 4.0

Image = NDArray[np.float32]
Array = NDArray[Any]


def denoise(groups: Image, features: Image, sharp: Image) -> Image:
    """Combine groups of samples into one image.

    Args:
        groups: (G, height, width, 3) independent estimates of linear radiance, G >= 2.
        features: (height, width, 7) albedo, normal and depth.
        sharp: (height, width) share of metal and cut stones in [0, 1].

    Returns:
        (height, width, 3) linear radiance.
    """
    is_sharp = sharp > 0
    albedo = np.where(is_sharp[..., None], np.float32(1), features[..., :3] + np.float32(DARKEST_ALBEDO))
    shading = np.asarray(groups / albedo, np.float32)
    shading *= firefly_weights(shading, is_sharp)[..., None]
    color = shading.mean(0)
    noise = (shading.var(0, ddof=1) / len(groups)).mean(-1)
    variance = _box_mean(np.ascontiguousarray(noise), 2) + np.float32(1e-7)
    guide = _scaled(features)
    smooth = _filter(np.ascontiguousarray(color), variance, guide, is_sharp)
    return np.asarray(smooth * albedo, np.float32)


def firefly_weights(shading: Image, sharp: NDArray[np.bool_]) -> Image:
    """Factors, (G, height, width), that bring groups far above their median down to it."""
    brightness = shading.mean(-1)
    limit = np.where(sharp, FIREFLY_SHARP, FIREFLY) * np.median(brightness, 0) + 0.05
    return np.asarray(np.minimum(1, limit / np.maximum(brightness, 1e-6)), np.float32)


def _scaled(features: Image) -> Image:
    """Features in units of what counts as a difference; of depths, their logarithms."""
    depth = np.log(np.maximum(features[..., 6:], 1e-3)) / DEPTH
    return np.ascontiguousarray(
        np.concatenate([features[..., :3] / ALBEDO, features[..., 3:6] / NORMAL, depth], -1), np.float32
    )


@njit(cache=True, fastmath=True)
def _box_mean(values: Array, reach: int) -> Array:
    """Mean over a square of 2 reach + 1 pixels a side; the border's pixels go on outside."""
    height, width = values.shape
    rows, result = np.empty_like(values), np.empty_like(values)
    scale = np.float32(1 / (2 * reach + 1))
    for y in range(height):
        for x in range(width):
            total = np.float32(0)
            for offset in range(-reach, reach + 1):
                total += values[y, min(max(x + offset, 0), width - 1)]
            rows[y, x] = total * scale
    for y in range(height):
        for x in range(width):
            total = np.float32(0)
            for offset in range(-reach, reach + 1):
                total += rows[min(max(y + offset, 0), height - 1), x]
            result[y, x] = total * scale
    return result


@njit(cache=True, fastmath=True)
def _differences(color: Array, variance: Array, dy: int, dx: int, strength: Array, result: Array) -> None:
    """How much more each pixel differs from the one at (dy, dx) than noise explains, in units of the noise."""
    height, width = variance.shape
    for y in range(height):
        there_y = min(max(y + dy, 0), height - 1)
        for x in range(width):
            there_x = min(max(x + dx, 0), width - 1)
            total = np.float32(0)
            for channel in range(3):
                step = color[y, x, channel] - color[there_y, there_x, channel]
                total += step * step
            here, there = variance[y, x], variance[there_y, there_x]
            excess = total / np.float32(3) - (here + min(here, there))
            result[y, x] = excess / (np.float32(1e-6) + strength[y, x] * (here + there))


@njit(cache=True, fastmath=True)
def _add(
    color: Array, guide: Array, sharp: Array, distance: Array, dy: int, dx: int, sums: Array, weights: Array
) -> None:
    """Add the pixels at (dy, dx), as far as they are like those here."""
    height, width = weights.shape
    for y in range(max(-dy, 0), min(height, height - dy)):
        for x in range(max(-dx, 0), min(width, width - dx)):
            if sharp[y, x] != sharp[y + dy, x + dx]:
                continue
            unlike = np.float32(0)
            for feature in range(guide.shape[2]):
                step = guide[y, x, feature] - guide[y + dy, x + dx, feature]
                unlike += step * step
            exponent = max(distance[y, x], np.float32(0)) + np.float32(0.5) * unlike
            if exponent < np.float32(16):
                weight = np.exp(-exponent)
                weights[y, x] += weight
                for channel in range(3):
                    sums[y, x, channel] += weight * color[y + dy, x + dx, channel]


@njit(cache=True)
def _filter(color: Array, variance: Array, guide: Array, sharp: Array) -> Array:
    sums, weights = np.zeros_like(color), np.zeros_like(variance)
    distance = np.empty_like(variance)
    strength = np.where(sharp, np.float32(SHARP**2), np.float32(BLUNT**2))
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            _differences(color, variance, dy, dx, strength, distance)
            _add(color, guide, sharp, _box_mean(distance, 1), dy, dx, sums, weights)
    for channel in range(3):
        sums[:, :, channel] /= weights
    return sums
