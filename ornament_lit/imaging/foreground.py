"""Where the ornament is in its own image, when nobody says it: transparency, or a plain background.

Shape legend: h, w size of the image.
"""

import math
import warnings

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_gradient_magnitude, maximum_filter

from ornament_lit.imaging.geometry import THRESHOLD

BORDER = 0.04
LEAST_CONTRAST = 24.0
GREATEST_NOISE = 40.0
LEAST_SHARE = 0.002
MOST_OF_BORDER = 0.5
LARGEST_SIDE = 2048
DARKEST, CHANGE_IN_SHADOW, SOFTEST_EDGE = 0.3, 14.0, 12.0
"""Of a soft shadow: least light, greatest change of colour, and greatest slope, in levels and 128ths of the image."""


def find_ornament(image: Image.Image) -> Image.Image:
    """Guess the mask of an ornament as shops show it: cut out, or lying on a plain background.

    1. Where the image has transparent pixels, the mask is its opacity.
    2. Else it is what differs from the colours at the border of the image: by more than they differ among
       themselves.
    3. Where that fails (a busy background, hardly anything found), it is the whole image, with a warning.

    A soft shadow counts as background, and so does the hole of a ring; a hard one may be taken for ornament. A mask of
    one's own is better.

    Args:
        image: An upright photograph of mode ``L``, ``LA``, ``RGB`` or ``RGBA``.

    Returns:
        The mask, ``L``, 0 or 255 (or the opacity). An image of more than :data:`LARGEST_SIDE` pixels a side is looked
        at in blocks, so that memory is bounded; its mask has soft edges.
    """
    if image.mode in ("LA", "RGBA"):
        opacity = image.getchannel("A")
        least, most = opacity.getextrema()
        if least < 255 and most >= THRESHOLD:  # type: ignore[operator]
            return opacity
    seen = image.convert("RGB").reduce(math.ceil(max(image.size) / LARGEST_SIDE))
    mask = differing_from_border(np.asarray(seen, dtype=np.float32))
    if mask is None:
        warnings.warn(
            "no ornament mask was given, and the background is not plain: the whole image counts as ornament",
            stacklevel=2,
        )
        return Image.new("L", image.size, 255)
    return Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).resize(image.size, Image.Resampling.BILINEAR)


def soft_shadow(colours: NDArray[np.float32], background: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels that are the background in less light, without edges near: (h, w) of (h, w, 3) in 0 to 255 each."""
    light = (colours * background).sum(-1) / np.maximum(np.square(background).sum(-1), 1)
    change = np.linalg.norm(colours - light[..., None] * background, axis=-1)
    scale = max(*colours.shape[:2], 128) / 128
    edges = scale * gaussian_gradient_magnitude(colours.mean(-1), 0.7 * scale)
    near = maximum_filter(edges, 2 * round(scale) + 1)
    darker = (light > DARKEST) & (light < 1)
    return np.asarray(darker & (change < CHANGE_IN_SHADOW) & (near < SOFTEST_EDGE))


def on_white(image: Image.Image) -> Image.Image:
    """Lay transparency over white, as the training data have it; mode ``RGB`` or what it was."""
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def differing_from_border(colours: NDArray[np.float32]) -> NDArray[np.bool_] | None:
    """Pixels whose colour is not that of the image's border.

    The background is a plane in each colour channel, fitted to the pixels near the border, so that light which falls
    off to one side does no harm. What differs by more than :data:`LEAST_CONTRAST` levels, and by more than twice
    what nine tenths of the border differ by, is ornament.

    Args:
        colours: (h, w, 3) in 0 to 255.

    Returns:
        (h, w); None where the background is not plain, or next to nothing or nearly all of the border differs.
    """
    height, width = colours.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    terms = np.stack([np.ones_like(x), x / width, y / height], axis=-1)
    margin = max(1, round(BORDER * min(height, width)))
    border = np.ones((height, width), dtype=bool)
    border[margin:-margin, margin:-margin] = False
    usual = np.linalg.norm(colours - np.median(colours[border], axis=0), axis=-1)
    like_most = border & (usual <= np.quantile(usual[border], 0.75))
    plane, *_ = np.linalg.lstsq(terms[like_most], colours[like_most], rcond=None)
    difference = np.linalg.norm(colours - terms @ plane, axis=-1)
    noise = float(np.quantile(difference[border], 0.9))
    if noise > GREATEST_NOISE:
        return None
    mask: NDArray[np.bool_] = (difference > max(LEAST_CONTRAST, 2 * noise)) & ~soft_shadow(colours, terms @ plane)
    if mask.mean() < LEAST_SHARE or mask[border].mean() > MOST_OF_BORDER:
        return None
    return mask
