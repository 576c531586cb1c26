"""From radiance to 8-bit sRGB, as a photographer would expose and a camera would develop it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SHOULDER = 0.70
CONTRAST = 0.85
TYPICAL = 0.22
ADAPTATION = 0.45
ADAPTATION_LIMITS = (0.75, 2.2)


def adapted_exposure(exposure: float, brightness: NDArray[Any]) -> float:
    """Move an exposure part of the way to where the median of an image is of a usual brightness.

    Args:
        exposure: Factor on radiance.
        brightness: Radiance of the pixels that count, of any shape, at least one.
    """
    median = max(float(np.median(brightness)) * exposure, 1e-3)
    return exposure * float(np.clip((TYPICAL / median) ** ADAPTATION, *ADAPTATION_LIMITS))


def develop(radiance: NDArray[Any], exposure: float) -> NDArray[np.uint8]:
    """Expose, bend the highlights, encode.

    Args:
        radiance: (height, width, 3) linear, not negative.
        exposure: Factor that brings white to about 1.

    Returns:
        (height, width, 3) sRGB; linear up to :data:`SHOULDER`, beyond which highlights approach white slowly.
    """
    light = np.maximum(radiance * exposure, 0)
    room = 1 - SHOULDER
    bent = SHOULDER + room * (1 - np.exp(-np.maximum(light - SHOULDER, 0) / room * CONTRAST))
    return np.asarray(encode(np.where(light < SHOULDER, light, bent)) * 255 + 0.5, np.uint8)


def encode(linear: NDArray[Any]) -> NDArray[Any]:
    """SRGB's curve: linear light in [0, 1] to values in [0, 1] (IEC 61966-2-1)."""
    light = np.clip(linear, 0, 1)
    return np.asarray(np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055))


def decode(encoded: NDArray[Any]) -> NDArray[Any]:
    """The inverse of :func:`encode`."""
    values = np.clip(encoded, 0, 1)
    return np.asarray(np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4))
