"""Images that show what a model says over what it looked at: heat, and points of an ornament by colour."""

import torch
from PIL import Image, ImageOps
from torch import Tensor

from ornament_lit.imaging.crops import tensor_to_image, tensor_to_mask
from ornament_lit.imaging.texture import sample_texture

LOW, MIDDLE, HIGH = "#000000", "#d01c1c", "#ffe680"
LARGEST_SHARE = 0.75
"""Of the heat in what is seen; the rest is the image below."""
CORNER_COLOURS = ((0.90, 0.22, 0.22), (0.98, 0.82, 0.16), (0.16, 0.32, 0.92), (0.10, 0.72, 0.42))
"""Of the points of an ornament's image: upper left, upper right, lower left, lower right."""


def heat_over(image: Image.Image, values: Image.Image) -> Image.Image:
    """Lay values over an image: from red to yellow, the less opaque the smaller they are.

    Args:
        image: What is seen below.
        values: ``L``, of the same size.

    Returns:
        ``RGB``.
    """
    share = values.point([int(value * LARGEST_SHARE) for value in range(256)])
    return Image.composite(ImageOps.colorize(values, LOW, HIGH, mid=MIDDLE), image.convert("RGB"), share)


def point_colours(image: Image.Image, uv: Tensor, share: Tensor) -> Image.Image:
    """Colour each pixel by the point of the ornament that it shows; one point has one colour everywhere.

    Args:
        image: What is seen below, (r, r).
        uv: Points, (2, r, r), in the coordinates of :class:`ornament_lit.batch.Correspondence`; for the ornament's own
            image, :func:`ornament_lit.imaging.frames.pixel_grid`.
        share: How much of the ornament each pixel shows, (1, r, r) in [0, 1].

    Returns:
        ``RGB``, of the size of ``image``.
    """
    corners = torch.tensor(CORNER_COLOURS).T.reshape(1, 3, 2, 2)
    texture = torch.nn.functional.interpolate(corners, size=256, mode="bilinear", align_corners=True)
    colours = sample_texture(texture, uv[None].float(), "border")[0] * 2 - 1
    below = image.convert("RGB")
    over, mask = tensor_to_image(colours).resize(below.size), tensor_to_mask(share).resize(below.size)
    return Image.composite(over, below, mask)
