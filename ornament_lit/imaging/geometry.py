"""Boxes, crops and their undoing, masks: pure functions.

A box is (x0, y0, x1, y1) in pixels: x1 and y1 are the first that no longer belong to it. A point's pixel is
its floor, so that pixel 0 covers [0, 1). An oriented box has a fifth number: by how many degrees that rectangle is
turned about its centre, clockwise as a viewer sees it, which is from +x to +y.
"""

import math
import warnings
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Box = tuple[float, float, float, float]
OrientedBox = tuple[float, float, float, float, float]
AnyBox = Box | OrientedBox
Points = NDArray[np.float64]

MID_GREY = 128
THRESHOLD = 128
LARGEST_WINDOW = 8192
"""Side of a crop in pixels from which on an image is averaged in blocks before it is cut out."""


class Crop(NamedTuple):
    """A square crop of an image, in whole pixels of that image; it may lie partly outside.

    Attributes:
        left: First column.
        top: First row.
        size: Width and height.
    """

    left: int
    top: int
    size: int


def read_box(values: Iterable[Any]) -> AnyBox:
    """Read a box that a user or a file has given.

    Args:
        values: Its four or five numbers, or words that are such.

    Raises:
        ValueError: If they are not, the box is inverted, or a number is not finite.
    """
    given = list(values)
    try:
        numbers = [float(value) for value in given]
    except (TypeError, ValueError):
        numbers = []
    if len(numbers) not in (4, 5):
        raise ValueError(f"a box must be four numbers x0,y0,x1,y1, or five with the angle in degrees, got {given}")
    x0, y0, x1, y1, *angle = numbers
    if not all(map(math.isfinite, (x0, y0, x1, y1))) or x0 >= x1 or y0 >= y1:
        raise ValueError(f"a box must be x0,y0,x1,y1, finite and with x0 < x1 and y0 < y1, got {given}; mind the order")
    if not angle:
        return x0, y0, x1, y1
    if not math.isfinite(angle[0]):
        raise ValueError(f"the angle of a box must be a finite number of degrees, got {given}; leave it out for none")
    return x0, y0, x1, y1, angle[0]


def oriented(box: AnyBox) -> OrientedBox | None:
    """The box itself, if it says an angle."""
    return box if len(box) == 5 else None


def turn_about(points: Points, angle: float, centre: Points) -> Points:
    """Turn points about another one.

    Args:
        points: (..., 2), x and y.
        angle: Degrees, from +x to +y; right angles are exact.
        centre: (2,), the point that stays.
    """
    cosine, sine = (round(part(math.radians(angle % 360)), 15) for part in (math.cos, math.sin))
    change = np.array([[cosine - 1, sine], [-sine, cosine - 1]])
    return np.asarray(points + (points - centre) @ change)


def box_centre(box: AnyBox) -> Points:
    """Middle of a box, (2,)."""
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def box_corners(box: AnyBox) -> Points:
    """Corners of a box, turned where it says an angle, (4, 2): upper left, upper right, lower right and lower left."""
    x0, y0, x1, y1, *angle = box
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=np.float64)
    return turn_about(corners, angle[0], box_centre(box)) if angle else corners


def bounding_box(box: AnyBox) -> Box:
    """Smallest box with upright sides around a turned one; a box without an angle is its own."""
    if len(box) == 4:
        return box
    corners = box_corners(box)
    (x0, y0), (x1, y1) = corners.min(0).tolist(), corners.max(0).tolist()
    return x0, y0, x1, y1


def extent_along(points: Points, box: OrientedBox) -> Box:
    """Smallest rectangle around points that has the direction of a turned box.

    Args:
        points: (n, 2), x and y.
        box: The turned box.

    Returns:
        Its sides, as they are before all is turned about the centre of ``box``: to compare with ``box[:4]``.
    """
    turned_back = turn_about(points, -box[4], box_centre(box))
    (x0, y0), (x1, y1) = turned_back.min(0).tolist(), turned_back.max(0).tolist()
    return x0, y0, x1, y1


def with_sides(box: OrientedBox, sides: Box) -> OrientedBox:
    """Move the sides of a turned box.

    Args:
        box: The turned box.
        sides: The new ones, as they are before all is turned about the centre of ``box``, see :func:`extent_along`.

    Returns:
        The box with these sides, which is turned about its own centre.
    """
    middle = box_centre(sides)
    x, y = (turn_about(middle, box[4], box_centre(box)) - middle).tolist()
    return sides[0] + x, sides[1] + y, sides[2] + x, sides[3] + y, box[4]


def grow_oriented_box(box: OrientedBox, fractions: tuple[float, float, float, float]) -> OrientedBox:
    """Move each side of a turned box outwards, see :func:`grow_box`: left is what is left before it is turned."""
    return with_sides(box, grow_box(box[:4], fractions))


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


def union(one: Box, other: Box) -> Box:
    """Smallest box around two."""
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def clip_box(box: Box, width: int, height: int) -> Box:
    """Keep what of a box lies in an image of ``width`` x ``height`` pixels.

    Raises:
        ValueError: If nothing is left.
    """
    x0, y0, x1, y1 = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    if x0 >= x1 or y0 >= y1:
        raise _outside(box, width, height)
    return x0, y0, x1, y1


def clip_bounding_box(box: AnyBox, width: int, height: int) -> Box:
    """Keep what of a box, or of the upright box around a turned one, lies in an image.

    Raises:
        ValueError: If nothing of the box itself does.
    """
    turned = oriented(box)
    if turned is not None:  # two rectangles meet if they do in the directions of both
        image = extent_along(box_corners((0, 0, width, height)), turned)
        if image[0] >= box[2] or image[2] <= box[0] or image[1] >= box[3] or image[3] <= box[1]:
            raise _outside(box, width, height)
    return clip_box(bounding_box(box), width, height)


def _outside(box: AnyBox, width: int, height: int) -> ValueError:
    numbers = [round(number, 2) for number in box]
    return ValueError(f"a box must have an area inside the image of {width}x{height} pixels, got {numbers}")


def check_box(box: AnyBox, width: int, height: int) -> Box:
    """Check a box that a user has given for an image of ``width`` x ``height`` pixels.

    Args:
        box: The box; what lies outside the image is cut off, with a warning. Of a turned box, it is the upright one
            around it that is cut.
        width: Width of the image.
        height: Height of the image.

    Returns:
        The part of the (upright) box in the image.

    Raises:
        ValueError: If the box is inverted, not finite, outside the image, or less than a pixel of it is inside.
    """
    read_box(box)
    clipped = clip_bounding_box(box, width, height)
    if min(clipped[2] - clipped[0], clipped[3] - clipped[1]) < 1:
        raise ValueError(f"a box must cover a pixel of the image of {width}x{height} pixels, got {list(box)}; grow it")
    if clipped != tuple(bounding_box(box)):
        used = [round(edge, 2) for edge in clipped]
        warnings.warn(f"the box {list(box)} leaves the image: {used} of it are used", stacklevel=2)
    return clipped


def square_crop(box: Box, factor: float = 1.5) -> Crop:
    """Square crop around a box.

    Args:
        box: The box, with a positive width and height.
        factor: Side of the square over the longer side of the box.

    Returns:
        The crop, rounded to whole pixels. It has the box's centre (to half a pixel) and is never clipped.
    """
    x0, y0, x1, y1 = box
    size = max(1, round(factor * max(x1 - x0, y1 - y0)))
    return Crop(round((x0 + x1 - size) / 2), round((y0 + y1 - size) / 2), size)


def widen_crop(crop: Crop, factor: float) -> Crop:
    """A crop with the same centre, up to a pixel, and ``factor`` times the side; never smaller."""
    size = max(crop.size, round(factor * crop.size))
    margin = (size - crop.size) // 2
    return Crop(crop.left - margin, crop.top - margin, size)


def crop_and_resize(
    image: Image.Image, crop: Crop, resolution: int, fill: int, resample: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """Cut a crop out of an image and scale it, antialiased.

    Args:
        image: An image of mode ``L`` or ``RGB``.
        crop: The crop.
        resolution: Side of the result in pixels.
        fill: Value in 0 to 255 of what lies outside the image.
        resample: Filter of Pillow; widened when it shrinks the crop.

    Returns:
        A square image of the same mode.
    """
    factor = math.ceil(crop.size / LARGEST_WINDOW)
    if factor > 1:
        image, crop = image.reduce(factor), Crop(*(round(edge / factor) for edge in crop))
    bands = len(image.getbands())
    window = Image.new(image.mode, (crop.size, crop.size), (fill,) * bands)
    window.paste(image, (-crop.left, -crop.top))
    return window.resize((resolution, resolution), resample)


def visible_part(crop: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    """Part of a crop that lies in an image of ``width`` x ``height`` pixels, as (x0, y0, x1, y1) of the image.

    Raises:
        ValueError: If no pixel of it does.
    """
    x0, y0 = max(crop.left, 0), max(crop.top, 0)
    x1, y1 = min(crop.left + crop.size, width), min(crop.top + crop.size, height)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(f"a crop must lie partly in the image of {width}x{height} pixels, got {crop}; see check_box")
    return x0, y0, x1, y1


def uncrop(
    square: Image.Image, crop: Crop, width: int, height: int, resample: Image.Resampling = Image.Resampling.BICUBIC
) -> Image.Image:
    """Undo :func:`crop_and_resize`: scale a square back to its crop and cut off what lies outside the image.

    What the square shows outside the image does not count, so that no filling bleeds in at the border of the image.

    Args:
        square: A square image of any resolution, of mode ``L``, ``RGB`` or ``F``.
        crop: The crop that it shows.
        width: Width of the image that the crop was cut out of.
        height: Height of that image.
        resample: Filter of Pillow; widened when it shrinks the square.

    Returns:
        The pixels of :func:`visible_part`; the very values of ``square`` where its side is that of the crop.

    Raises:
        ValueError: If ``square`` is none, or no pixel of the crop lies in the image.
    """
    if square.width != square.height:
        raise ValueError(f"what is put back into a crop must be square, got {square.width}x{square.height} pixels")
    x0, y0, x1, y1 = visible_part(crop, width, height)
    part = (x0 - crop.left, y0 - crop.top, x1 - crop.left, y1 - crop.top)
    columns = _nearest_inside(part[0], part[2], crop.size, square.width)
    rows = _nearest_inside(part[1], part[3], crop.size, square.width)
    extended = Image.fromarray(np.asarray(square)[rows[:, None], columns])
    shown = [edge * square.width / crop.size for edge in part]
    return extended.resize((x1 - x0, y1 - y0), resample, box=(shown[0], shown[1], shown[2], shown[3]))


def _nearest_inside(start: int, stop: int, size: int, resolution: int) -> NDArray[np.int64]:
    """For each of the pixels of a line that shows 0 to ``size`` the nearest one that lies in start to stop.

    Where the line was resized, filling has reached the pixels next to it: one pixel of the coarser grid is left out.
    """
    reach = 0.0 if resolution == size else max(1.0, resolution / size)
    first = math.ceil(start * resolution / size + reach) if start > 0 else 0
    last = math.floor(stop * resolution / size - reach) - 1 if stop < size else resolution - 1
    first = min(first, resolution - 1)
    return np.arange(resolution).clip(first, max(first, last))


def draw_box(box: Box, crop: Crop, resolution: int) -> Tensor:
    """Mask of a box in a resized crop, neither larger nor smaller than the box on average.

    Args:
        box: The box in pixels of the whole image.
        crop: The crop.
        resolution: Side of the resized crop in pixels.

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


def draw_oriented_box(box: AnyBox, crop: Crop, resolution: int) -> Tensor:
    """Mask of a turned box in a resized crop, as :func:`draw_box` draws an upright one.

    Args:
        box: The box in pixels of the whole image; without an angle, or with one of 0, the result is that of
            :func:`draw_box`.
        crop: The crop.
        resolution: Side of the resized crop in pixels.

    Returns:
        (1, ``resolution``, ``resolution``) of 1 for each pixel whose centre lies in the box and 0 elsewhere.
    """
    corners = (box_corners(box) - np.array([crop.left, crop.top])) * (resolution / crop.size)
    inside = torch.from_numpy(fill_polygon(corners, resolution, resolution))[None]
    return inside.float() * draw_box(bounding_box(box), crop, resolution)


def fill_polygon(corners: Points, height: int, width: int) -> NDArray[np.bool_]:
    """Which pixels have their centres in a convex polygon, or on its border.

    Args:
        corners: (n, 2) of x and y, in their order, either way round.
        height: Rows.
        width: Columns.

    Returns:
        (height, width).
    """
    sides = np.roll(corners, -1, axis=0) - corners
    y, x = np.mgrid[:height, :width] + 0.5
    turns = sides[:, 0, None, None] * (y - corners[:, 1, None, None]) - sides[:, 1, None, None] * (
        x - corners[:, 0, None, None]
    )
    return np.asarray((turns >= 0).all(axis=0) | (turns <= 0).all(axis=0))


def mask_outline(mask: Image.Image) -> Points:
    """Corners of the outermost pixels in each row of a mask that are at least half covered, (n, 2) of x and y."""
    inside = np.asarray(mask) >= THRESHOLD
    rows = np.flatnonzero(inside.any(axis=1))
    left, right = inside[rows].argmax(axis=1), inside.shape[1] - inside[rows, ::-1].argmax(axis=1)
    return np.concatenate([np.stack([x, y], axis=1) for x in (left, right) for y in (rows, rows + 1)]).astype(float)


def mask_to_box(mask: Image.Image) -> Box | None:
    """Smallest box around the pixels of a mask of mode ``L`` that are at least half covered; None where none is."""
    return mask.point([0] * THRESHOLD + [255] * (256 - THRESHOLD)).getbbox()
