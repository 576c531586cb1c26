"""Colours of skin: tones, and how the colour varies over a body."""

from dataclasses import dataclass

import numpy as np

from datamodules.rendering.geometry.vectors import FloatArray, Points, Vector, smooth_noise

TONES = np.array(
    [
        [0.93, 0.80, 0.72],
        [0.90, 0.74, 0.64],
        [0.86, 0.68, 0.56],
        [0.80, 0.60, 0.47],
        [0.72, 0.52, 0.38],
        [0.62, 0.42, 0.30],
        [0.52, 0.355, 0.255],
        [0.43, 0.29, 0.205],
        [0.36, 0.24, 0.17],
        [0.29, 0.19, 0.135],
    ]
)
BLUSH = np.array([0.03, -0.06, -0.06], np.float32)
LIP = np.array([0.86, 0.60, 0.58])


def draw_tone(rng: np.random.Generator) -> Vector:
    """A tone of skin, (3,) sRGB in [0, 1], from light to dark with equal chances."""
    return np.asarray(np.clip(TONES[rng.integers(len(TONES))] * (1 + rng.normal(0, 0.03, 3)), 0.05, 0.97))


def to_linear(color: Points) -> Vector:
    """Linear light of sRGB values in [0, 1]."""
    values = np.asarray(color, np.float64)
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@dataclass(frozen=True, eq=False)
class Pigment:
    """How a skin's colour varies, one number for each vertex (V,).

    Attributes:
        brightness: Factor of the tone.
        blush: How much redder than the tone.
        lips: Share of the colour of lips, in [0, 1].
    """

    brightness: FloatArray
    blush: FloatArray
    lips: FloatArray

    def colors(self, tone: Vector) -> FloatArray:
        """(V, 3) linear RGB of this skin in a tone (3,), sRGB in [0, 1]."""
        muted = 0.86 * tone + 0.14 * tone.mean()
        colors = to_linear(muted).astype(np.float32) * self.brightness[:, None]
        colors = colors * (1 + self.blush[:, None] * BLUSH)
        share = self.lips[:, None]
        return np.asarray(np.clip(colors * (1 - share) + to_linear(tone * LIP) * share, 0.004, 0.92), np.float32)


def draw_pigment(
    rng: np.random.Generator, points: Points, blush: Points, shade: Points | float = 0.0, lips: Points | float = 0.0
) -> Pigment:
    """Mottle a skin.

    Args:
        rng: Draws the mottling.
        points: (V, 3) its vertices.
        blush: (V,) redness of its places, about in [0, 1].
        shade: (V,) how much darker its creases are, in [0, 1].
        lips: (V,) share of the colour of lips, in [0, 1].
    """
    broad, middle, fine = (smooth_noise(rng, points, frequency, waves) for frequency, waves in SCALES)
    brightness = (1 + 0.06 * broad + 0.035 * middle + 0.035 * fine) * (1 - np.asarray(shade, np.float32))
    redness = np.clip(0.25 + 0.35 * middle + 0.25 * broad, 0, 1) + blush
    share = np.broadcast_to(np.asarray(lips, np.float32), brightness.shape)
    return Pigment(brightness.astype(np.float32), redness.astype(np.float32), share)


SCALES = ((1.3, 10), (7.0, 10), (40.0, 16))
