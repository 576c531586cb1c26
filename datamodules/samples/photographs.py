"""Renderings made more like photographs: what cameras, light and files do to an image, drawn anew for each sample.

One camera took the person, with and without the ornament, another one the ornament's image. White balance, exposure and
contrast of the two differ, as in a shop; blur, noise and compression are of each file.
"""

import io
import math
import random
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from datamodules.samples.decoding import Triplet
from datamodules.samples.seeding import hash_seed

Change = Literal["white_balance", "exposure", "contrast", "texture", "blur", "noise", "compression"]
CHANGES: tuple[Change, ...] = get_args(Change)
TONES: tuple[Change, ...] = ("white_balance", "exposure", "contrast")
"""Changes of each pixel's colour alone."""

WARMTH, TINT = 0.12, 0.05
"""Deviations of the logarithm of red over blue, and of green over both."""
EXPOSURE = 0.15
"""Deviation of the logarithm of the light, which is taken from the images as they are."""
CONTRAST = 0.2
"""Deviation of the logarithm of the exponent that tones are raised to."""
TEXTURE = 0.08
"""Greatest deviation of the body's own pattern, as a factor of its colours."""
BLUR = 1.0 / 128
"""Greatest deviation of the blur, in shares of the image's longer side."""
NOISE = 0.04
"""Greatest deviation of the noise; 1 is white."""
QUALITY = (30, 95)
"""Of JPEG."""

Pixels = NDArray[np.float32]


class Camera(NamedTuple):
    """How an image was taken and kept.

    Attributes:
        gains: Factors of red, green and blue.
        exponent: That tones are raised to.
        blur: Deviation in shares of the longer side.
        noise: Deviation; 1 is white.
        quality: Of the JPEG; None for none.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exponent: float = 1.0
    blur: float = 0.0
    noise: float = 0.0
    quality: int | None = None


def draw_camera(rng: random.Random, changes: Sequence[Change]) -> Camera:
    """Draw a camera. What is left out of the changes leaves the others as they are.

    Args:
        rng: Source of chance.
        changes: What may change.
    """
    warmth, tint, light, exponent = (rng.gauss(0, 1) for _ in range(4))
    blur, noise, quality = rng.random() ** 2, rng.random() ** 2, rng.randint(*QUALITY)
    warmth, tint = (warmth * WARMTH, tint * TINT) if "white_balance" in changes else (0.0, 0.0)
    light = light * EXPOSURE if "exposure" in changes else 0.0
    red, green, blue = (math.exp(value) for value in (light + warmth / 2, light + tint, light - warmth / 2))
    return Camera(
        gains=(red, green, blue),
        exponent=math.exp(exponent * CONTRAST) if "contrast" in changes else 1.0,
        blur=blur * BLUR if "blur" in changes else 0.0,
        noise=noise * NOISE if "noise" in changes else 0.0,
        quality=quality if "compression" in changes else None,
    )


def draw_cameras(seed: int, changes: Sequence[Change]) -> tuple[Camera, Camera]:
    """The cameras of a ``sample_seed``: that of the person and that of the ornament."""
    rng = random.Random(hash_seed(seed, "photographs"))
    return draw_camera(rng, changes), draw_camera(rng, changes)


def photographed(triplet: Triplet, seed: int, changes: Sequence[Change] = CHANGES) -> Triplet:
    """Make a triplet's images like photographs; masks and correspondence stay.

    Args:
        triplet: The triplet.
        seed: Its ``sample_seed``.
        changes: What may change.
    """
    person, ornament = draw_cameras(seed, changes)
    rng = random.Random(hash_seed(seed, "photographs", "texture"))
    pattern = draw_texture(triplet.person.size, rng) if "texture" in changes else None
    noise = np.random.default_rng(hash_seed(seed, "photographs", "noise"))

    worn = _pixels(triplet.wearing_mask)[..., None]

    def taken(image: Image.Image, worn: Pixels | float) -> Image.Image:
        return take(image if pattern is None else textured(image, pattern * (1 - worn)), person, noise)

    return triplet._replace(
        ornament=take(triplet.ornament, ornament, noise),
        person=taken(triplet.person, worn),
        bare=None if triplet.bare is None else taken(triplet.bare, 0.0),
    )


def take(image: Image.Image, camera: Camera, noise: np.random.Generator) -> Image.Image:
    """Take an ``RGB`` image by a camera."""
    if (camera.gains, camera.exponent) != ((1.0, 1.0, 1.0), 1.0):
        image = image.point(_tones(camera))
    if camera.blur:
        image = image.filter(ImageFilter.GaussianBlur(camera.blur * max(image.size)))
    if camera.noise:
        grain = noise.standard_normal((image.height, image.width, 3), np.float32)
        image = _image(_pixels(image) + grain * np.float32(camera.noise))
    return image if camera.quality is None else _compressed(image, camera.quality)


def textured(image: Image.Image, pattern: Pixels) -> Image.Image:
    """Multiply an image's colours by one plus a pattern, (height, width, 1)."""
    return _image(_pixels(image) * (1 + pattern))


def draw_texture(size: tuple[int, int], rng: random.Random) -> Pixels:
    """Draw a pattern of some grain, as pores, hair and cloth have: (height, width, 1), of mean 0."""
    strength, grain = rng.random() ** 2 * TEXTURE, 2 ** rng.uniform(0, 4)
    cells = tuple(max(2, round(side / grain)) for side in size)
    values = np.random.default_rng(rng.getrandbits(63)).normal(0, 1, cells[::-1]).astype(np.float32)
    pattern = np.asarray(Image.fromarray(values).resize(size, Image.Resampling.BICUBIC))
    return np.asarray((pattern - pattern.mean()) * strength / max(float(pattern.std()), 1e-6))[..., None]


def _tones(camera: Camera) -> list[int]:
    """What becomes of each of 256 tones of red, green and blue."""
    tones = np.arange(256) / 255
    return [
        round(255 * value)
        for gain in camera.gains
        for value in (np.clip(tones * gain, 0, 1) ** camera.exponent).tolist()
    ]


def _pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, np.float32) * np.float32(1 / 255)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")
