"""Boxes, crops and masks: pure functions.

A box is (x0, y0, x1, y1) in pixels: x1 and y1 are the first that no longer belong to it. A point's pixel is
its floor, so that pixel 0 covers [0, 1).
"""

import math
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

Box = tuple[float, float, float, float]

MID_GREY = 128
THRESHOLD = 128


class Crop(NamedTuple):
    """A square window of an image, in whole pixels of that image; it may lie partly outside.

    Attributes:
        left: First column.
        top: First row.
        size: Width and height.
    """

    left: int
    top: int
    size: int


def grow_box(box: Box, fractions: tuple[float, float, float, float]) -> Box:
    """Move each side of a box outwards.

    Args:
        box: The box.
        fractions: By how much (left, top, right, bottom) move, as fractions of the box's width and height.

    Returns:
        The grown box, which is not clipped to any image.
    """
    x0, y0, x1, y1 = box
    left, top, right, bottom = fractions
    width, height = x1 - x0, y1 - y0
    return x0 - left * width, y0 - top * height, x1 + right * width, y1 + bottom * height


def clip_box(box: Box, width: int, height: int) -> Box:
    """Keep what of a box lies in an image of ``width`` x ``height`` pixels.

    Raises:
        ValueError: If nothing is left.
    """
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"a box must have an area inside the image of {width}x{height} pixels, got {list(box)}")
    return x0, y0, x1, y1


def square_crop(box: Box, factor: float = 1.5) -> Crop:
    """Square window around a box.

    Args:
        box: The box, with a positive width and height.
        factor: Side of the square over the longer side of the box.

    Returns:
        The window, rounded to whole pixels. It has the box's centre (to half a pixel) and is never clipped.
    """
    x0, y0, x1, y1 = box
    size = max(1, round(factor * max(x1 - x0, y1 - y0)))
    return Crop(round((x0 + x1 - size) / 2), round((y0 + y1 - size) / 2), size)


def crop_and_resize(
    image: Image.Image, crop: Crop, resolution: int, fill: int, resample: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """Cut a window out of an image and scale it, antialiased.

    Args:
        image: An image of mode ``L`` or ``RGB``.
        crop: The window.
        resolution: Side of the result in pixels.
        fill: Value in 0 to 255 of what lies outside the image.
        resample: Filter of Pillow; widened when it shrinks the window.

    Returns:
        A square image of the same mode.
    """
    bands = len(image.getbands())
    window = Image.new(image.mode, (crop.size, crop.size), (fill,) * bands)
    window.paste(image, (-crop.left, -crop.top))
    return window.resize((resolution, resolution), resample)


def draw_box(box: Box, crop: Crop, resolution: int) -> Tensor:
    """Mask of a box in a resized window, neither larger nor smaller than the box on average.

    Args:
        box: The box in pixels of the whole image.
        crop: The window.
        resolution: Side of the resized window in pixels.

    Returns:
        (1, ``resolution``, ``resolution``) of 1 for each pixel whose centre lies in the box and 0 elsewhere.
    """
    scale = resolution / crop.size
    starts = (crop.left, crop.top, crop.left, crop.top)
    edges = [(edge - start) * scale for edge, start in zip(box, starts, strict=True)]
    x0, y0, x1, y1 = (max(0, math.ceil(edge - 0.5)) for edge in edges)
    mask = torch.zeros(1, resolution, resolution)
    mask[:, y0:y1, x0:x1] = 1.0
    return mask


def mask_to_box(mask: Image.Image) -> Box | None:
    """Smallest box around the pixels of a mask of mode ``L`` that are at least half covered; None where none is."""
    return mask.point([0] * THRESHOLD + [255] * (256 - THRESHOLD)).getbbox()
