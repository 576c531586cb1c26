"""The part of a photograph that is stored, and its scale."""

import math
from typing import NamedTuple

from PIL import Image

from datamodules.packing.checks import longer_side, with_mask
from datamodules.packing.rules import RowError
from ornament_lit.imaging.geometry import Box, OrientedBox, box_centre, mask_to_box, union


class StoredCrop(NamedTuple):
    """A part of a photograph in whole pixels, and the size that it is stored at.

    Attributes:
        left: First column.
        top: First row.
        right: First column that no longer belongs to it.
        bottom: First row that no longer belongs to it.
        width: Columns that are stored.
        height: Rows that are stored.
    """

    left: int
    top: int
    right: int
    bottom: int
    width: int
    height: int


def crop_around(box: Box, factor: float, photograph: tuple[int, int], size: int) -> StoredCrop:
    """Square around a box, what of it lies in the photograph, scaled down to a size.

    Args:
        box: The ornament.
        factor: Side of the square over the longer side of the box.
        photograph: Its width and height.
        size: The whole square has at most this many stored pixels a side; nothing is scaled up.
    """
    half = 0.5 * factor * longer_side(box)
    x, y = 0.5 * (box[0] + box[2]), 0.5 * (box[1] + box[3])
    left, top = max(0, math.floor(x - half)), max(0, math.floor(y - half))
    right, bottom = min(photograph[0], math.ceil(x + half)), min(photograph[1], math.ceil(y + half))
    scale = min(1.0, size / (2.0 * half))
    return StoredCrop(
        left, top, right, bottom, max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top)))
    )


def cut(image: Image.Image, crop: StoredCrop) -> Image.Image:
    """Cut a crop out of a photograph or mask and scale it, antialiased."""
    resample = Image.Resampling.BILINEAR if image.mode == "L" else Image.Resampling.LANCZOS
    part = image.crop(crop[:4])
    return part if part.size == crop[4:] else part.resize(crop[4:], resample)


def move_box(box: Box, crop: StoredCrop, mask: Image.Image) -> Box:
    """Box of a photograph in the pixels of a stored crop, around the stored mask too.

    Args:
        box: In pixels of the photograph.
        crop: The crop.
        mask: The mask as stored.

    Returns:
        The box, rounded to hundredths.

    Raises:
        RowError: ``thin_mask``, if nothing is left of the mask.
    """
    x_scale, y_scale = _scales(crop)
    x0, x1 = ((x - crop.left) * x_scale for x in (box[0], box[2]))
    y0, y1 = ((y - crop.top) * y_scale for y in (box[1], box[3]))
    around = mask_to_box(mask)
    if around is None:
        raise RowError("thin_mask", f"scaled by {x_scale:.3f}")
    left, top, right, bottom = union((x0, y0, x1, y1), around)
    return (
        round(max(0.0, left), 2),
        round(max(0.0, top), 2),
        round(min(crop.width, right), 2),
        round(min(crop.height, bottom), 2),
    )


def move_oriented_box(box: OrientedBox, crop: StoredCrop, mask: Image.Image) -> OrientedBox:
    """Oriented box of a photograph in the pixels of a stored crop, around the stored mask too.

    Args:
        box: In pixels of the photograph.
        crop: The crop.
        mask: The mask as stored, which has a pixel at least half covered.

    Returns:
        The box, rounded to hundredths, with the same angle; it may lie partly outside.
    """
    x_scale, y_scale = _scales(crop)
    x, y = ((box_centre(box) - (crop.left, crop.top)) * (x_scale, y_scale)).tolist()
    scale = math.sqrt(x_scale * y_scale)  # they differ by the rounding to whole pixels
    width, height = scale * (box[2] - box[0]) / 2, scale * (box[3] - box[1]) / 2
    x0, y0, x1, y1, angle = with_mask((x - width, y - height, x + width, y + height, box[4]), mask)
    return round(x0, 2), round(y0, 2), round(x1, 2), round(y1, 2), angle


def _scales(crop: StoredCrop) -> tuple[float, float]:
    return crop.width / (crop.right - crop.left), crop.height / (crop.bottom - crop.top)
