"""Correspondences as PNGs of 16-bit grey: three images of the person's size, one below the other.

The first two hold x and y of the points in sixteenths of a pixel, the third 256 times ``known`` plus ``seen``, each
from 0 to 255. What is stored is off by a thirty-second of a pixel at most; a mask of 8 bits is kept exactly.
"""

import io

import numpy as np
from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence

UNIT = 16
LARGEST = 65535 // UNIT
MODES = ("I;16", "I")


class CorrespondenceSizeError(ValueError):
    """A correspondence of other pixels than the person image."""


def encode_correspondence(correspondence: PixelCorrespondence) -> bytes:
    """Make a PNG of a correspondence.

    Raises:
        ValueError: If a point is not within 0 and :data:`LARGEST` pixels.
    """
    points, known, seen = correspondence
    if points.size and not (points.min() >= 0 and points.max() <= LARGEST):
        raise ValueError(
            f"points of a correspondence must be between 0 and {LARGEST} pixels, got {points.min()} to {points.max()}; "
            "make the ornament's image smaller"
        )
    shares = np.floor(known * 255 + 0.5) * 256 + np.floor(seen * 255 + 0.5)
    images = [*np.moveaxis(np.round(points * UNIT), 2, 0), shares]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(images).astype(np.uint16)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def decode_correspondence(content: bytes, size: tuple[int, int]) -> PixelCorrespondence:
    """Read what :func:`encode_correspondence` made.

    Args:
        content: A PNG.
        size: Width and height of the person image in pixels.

    Raises:
        CorrespondenceSizeError: If it is not three times as high as ``size`` and as wide.
        ValueError: If it is no PNG of 16-bit grey, or more of a pixel is seen than known.
        OSError: If it cannot be decoded.
    """
    image = Image.open(io.BytesIO(content), formats=("PNG",))
    stacked = (size[0], 3 * size[1])
    if image.size != stacked:
        raise CorrespondenceSizeError(
            f"must have {stacked} pixels, three times the person image's {size}, got {image.size}"
        )
    if image.mode not in MODES:
        raise ValueError(f"must be 16-bit grey, got mode {image.mode}; write it by encode_correspondence")
    images = np.asarray(image).astype(np.uint16).reshape(3, size[1], size[0])
    known, seen = images[2] >> 8, images[2] & 255
    if (seen > known).any():
        raise ValueError("no more of a pixel can be seen than is known; write it by encode_correspondence")
    points = np.moveaxis(images[:2], 0, 2) * np.float32(1 / UNIT)
    return PixelCorrespondence(points, known * np.float32(1 / 255), seen * np.float32(1 / 255))
