"""Images in rows and columns with their names: pure functions from tensors to a PIL image.

Shape legend: H, W size of an image.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

Colour = tuple[float, float, float]
Row = tuple[str, Mapping[str, tuple[Tensor, str]]]

MARGIN = 4
HEADER = 24
LEFT = 76
ORANGE: Colour = (1.0, 0.5, 0.0)
GREEN: Colour = (0.0, 0.9, 0.3)
WHITE: Colour = (1.0, 1.0, 1.0)


def enlarge(image: Tensor, min_size: int) -> Tensor:
    """Scale a small image up by a whole number.

    Args:
        image: (C, H, W) in [0, 1].
        min_size: The shorter side becomes at least this long; larger images stay.

    Returns:
        (C, fH, fW) in [0, 1].
    """
    factor = -(-min_size // min(image.shape[-2:]))
    if factor <= 1:
        return image
    return F.interpolate(image[None], scale_factor=factor, mode="bicubic", align_corners=False)[0].clamp(0, 1)


def overlay(image: Tensor, mask: Tensor, colour: Colour = ORANGE) -> Tensor:
    """Lay a mask in colour over a dimmed grey image.

    Args:
        image: (3, H, W) in [0, 1].
        mask: (1, H, W) in [0, 1]; how strong the colour is.
        colour: Red, green, blue in [0, 1].

    Returns:
        (3, H, W) in [0, 1].
    """
    dimmed = 0.5 * image.mean(0, keepdim=True).expand_as(image)
    return torch.lerp(dimmed, _paint(colour, image), mask.clamp(0, 1))


def outline(image: Tensor, mask: Tensor, colour: Colour) -> Tensor:
    """Draw the inner edge of a mask, one pixel wide.

    Args:
        image: (3, H, W) in [0, 1].
        mask: (1, H, W) bool.
        colour: Red, green, blue in [0, 1].

    Returns:
        (3, H, W) in [0, 1].
    """
    outside = F.pad((~mask).float(), (1, 1, 1, 1), value=1.0)
    edge = mask & (F.max_pool2d(outside, 3, stride=1) > 0)
    return torch.where(edge, _paint(colour, image), image)


def draw_grid(rows: Sequence[Row]) -> "Image":
    """Draw a table of images, with the names of the columns above and of the rows at the left.

    Args:
        rows: For each row, its name and its cells: by the column's name, an image (3, H, W) in [0, 1] and a note
            for its lower right corner. All rows have the same columns, and all images the same size.

    Returns:
        The table, RGB.
    """
    from PIL import Image, ImageDraw, ImageFont

    columns = list(rows[0][1])
    height, width = rows[0][1][columns[0]][0].shape[-2:]
    lefts = [LEFT + index * (width + MARGIN) for index in range(len(columns))]
    tops = [HEADER + index * (height + MARGIN) for index in range(len(rows))]
    table = Image.new("RGB", (lefts[-1] + width + MARGIN, tops[-1] + height + MARGIN), "white")
    draw = ImageDraw.Draw(table)
    font = ImageFont.load_default(13)
    for column, left in zip(columns, lefts, strict=True):
        draw.text((left + width // 2, HEADER // 2), column, "black", font, anchor="mm")
    for (name, cells), top in zip(rows, tops, strict=True):
        draw.text((LEFT - 2 * MARGIN, top + height // 2), name, "black", font, anchor="rm")
        for column, left in zip(columns, lefts, strict=True):
            image, note = cells[column]
            table.paste(_to_image(image), (left, top))
            corner = (left + width - MARGIN, top + height - MARGIN)
            draw.text(corner, note, "white", font, anchor="rs", stroke_width=2, stroke_fill="black")
    return table


def _to_image(image: Tensor) -> "Image":
    from PIL import Image

    pixels = image.detach().clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def _paint(colour: Colour, like: Tensor) -> Tensor:
    """A colour at each pixel of an image, (3, H, W)."""
    return torch.tensor(colour, dtype=like.dtype, device=like.device)[:, None, None].expand_as(like)
