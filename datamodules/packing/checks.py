"""Whether a mask and a box make sense: known answers from counts of pixels."""

from pathlib import Path

import numpy as np
from PIL import Image

from datamodules.packing.rules import RowError
from ornament_lit.imaging.geometry import (
    THRESHOLD,
    AnyBox,
    Box,
    OrientedBox,
    bounding_box,
    clip_bounding_box,
    clip_box,
    extent_along,
    mask_outline,
    mask_to_box,
    union,
    with_sides,
)

MAX_BORDER = 0.5
MAX_AREA = 0.9
MIN_AREA = {"ornament": 1e-3, "wearing": 1e-6}
MAX_LOOSENESS = 4.0
BOX_TOLERANCE = 0.05


def border_share(mask: Image.Image) -> float:
    """Share of the outermost pixels of a mask that are above half; a mask the wrong way round has most of them."""
    pixels = np.asarray(mask) >= THRESHOLD
    border = np.concatenate((pixels[0], pixels[-1], pixels[1:-1, 0], pixels[1:-1, -1]))
    return float(border.mean())


def area_share(mask: Image.Image) -> float:
    """Share of all pixels of a mask that are above half."""
    return float((np.asarray(mask) >= THRESHOLD).mean())


def longer_side(box: Box) -> float:
    """Longer side of a box in pixels."""
    return max(box[2] - box[0], box[3] - box[1])


def check_mask(mask: Image.Image, size: tuple[int, int], kind: str, file: Path | str) -> Box:
    """Check a mask against its photograph.

    Args:
        mask: The mask, ``L``.
        size: Width and height of the photograph.
        kind: ``ornament`` or ``wearing``.
        file: For messages.

    Returns:
        The smallest box around it.

    Raises:
        RowError: ``mask_size``, ``empty_mask``, ``inverted_mask`` or ``mask_area``.
    """
    if mask.size != size:
        turned = "; one of them lies on its side" if mask.size == size[::-1] else ""
        value = f"{mask.width}x{mask.height}, its photograph is upright {size[0]}x{size[1]}{turned}"
        raise RowError("mask_size", value, file)
    box = mask_to_box(mask)
    if box is None:
        raise RowError("empty_mask", f"greatest value {mask.getextrema()[1]}", file)
    border, area = border_share(mask), area_share(mask)
    if border > MAX_BORDER:
        raise RowError("inverted_mask", f"{border:.0%} of its border is white", file)
    if not MIN_AREA[kind] <= area <= MAX_AREA:
        raise RowError("mask_area", f"{area:.3%} of the image", file)
    return box


def check_extent(box: Box, min_extent: int, file: Path | str) -> None:
    """Check that an ornament is large enough to be seen.

    Raises:
        RowError: ``too_small``.
    """
    if longer_side(box) < min_extent:
        raise RowError("too_small", f"{longer_side(box):.0f} pixels of {min_extent}", file)


def reach_outside(inner: Box, outer: Box) -> float:
    """By how many pixels a box reaches out of another one, on the worst side; negative where it lies inside."""
    return max(outer[0] - inner[0], outer[1] - inner[1], inner[2] - outer[2], inner[3] - outer[3])


def fit_box(given: Box | None, around: Box, size: tuple[int, int]) -> Box:
    """Box of the worn ornament: the given one, or the one around its mask.

    Args:
        given: What the row says. It may cut off up to a twentieth of the mask's extent, and is then moved outwards.
        around: Smallest box around the mask.
        size: Width and height of the photograph.

    Raises:
        RowError: ``box_outside``, ``box_without_mask`` or ``loose_box``.
    """
    if given is None:
        return around
    try:
        box = clip_box(given, *size)
    except ValueError as error:
        raise _box_outside(given, size) from error
    _check_fit(box, around, f"box {list(given)}, mask in {list(around)}")
    return union(box, around)


def fit_oriented_box(given: OrientedBox, mask: Image.Image) -> tuple[OrientedBox, Box]:
    """Oriented box of the worn ornament, as :func:`fit_box`, and the upright one around it, cut at the photograph.

    Args:
        given: What the row says. It may cut off up to a twentieth of the mask's extent in its directions, and is then
            moved outwards. What of it lies outside the photograph is not cut off.
        mask: The mask, ``L``, which has a pixel at least half covered.

    Raises:
        RowError: ``box_outside``, ``box_without_mask`` or ``loose_box``.
    """
    try:
        clip_bounding_box(given, *mask.size)
    except ValueError as error:
        raise _box_outside(given, mask.size) from error
    around = extent_along(mask_outline(mask), given)
    rounded = [round(edge, 2) for edge in around]
    _check_fit(given[:4], around, f"box {list(given)}, mask in {rounded} in its directions")
    box = with_mask(given, mask)
    return box, clip_box(bounding_box(box), *mask.size)


def with_mask(box: OrientedBox, mask: Image.Image) -> OrientedBox:
    """Move the sides of an oriented box outwards, as far as a mask reaches."""
    return with_sides(box, union(box[:4], extent_along(mask_outline(mask), box)))


def _check_fit(box: Box, around: Box, value: str) -> None:
    if reach_outside(around, box) > max(2.0, BOX_TOLERANCE * longer_side(around)):
        raise RowError("box_without_mask", value)
    if longer_side(box) > MAX_LOOSENESS * longer_side(around):
        raise RowError("loose_box", value)


def _box_outside(given: AnyBox, size: tuple[int, int]) -> RowError:
    return RowError("box_outside", f"{list(given)} in {size[0]}x{size[1]} pixels")
