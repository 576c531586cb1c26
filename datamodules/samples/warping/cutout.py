"""An ornament, cut out of its image by its mask."""

from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.samples.warping.field import Floats
from ornament_lit.imaging.geometry import mask_to_box

FAINT = 26


class Frame(NamedTuple):
    """The square around an ornament in its image.

    Attributes:
        centre: (2,) in pixels.
        half: Half of its side, which is the longer side of the ornament's box.
    """

    centre: Floats
    half: float


class Cutout(NamedTuple):
    """An ornament without its background, in texels that may be larger than the pixels of its image.

    Shape legend: c channels, 4 or, where it has no colours, 1.

    Attributes:
        texels: (1, c, height, width): red, green and blue times coverage, and coverage, all in [0, 1].
        origin: (2,) upper left corner in pixels of the image.
        factor: Side of a texel in pixels of the image.
    """

    texels: Tensor
    origin: Floats
    factor: int

    @property
    def extent(self) -> Floats:
        """(2,) width and height in pixels of the image."""
        height, width = self.texels.shape[-2:]
        return np.array([width, height], dtype=np.float64) * self.factor

    def sample(self, points: Tensor) -> Tensor:
        """Sample it between its texels.

        Args:
            points: (1, 2, h, w): x and y over the half of :attr:`extent`, from its middle, so in [-1, 1] inside.

        Returns:
            (1, c, h, w); 0 outside.
        """
        return torch.nn.functional.grid_sample(self.texels, points.permute(0, 2, 3, 1), align_corners=False)


def frame(mask: Image.Image) -> Frame:
    """The frame of the ornament in a mask of mode ``L``, which must have a pixel above 127."""
    box = mask_to_box(mask)
    assert box is not None
    x0, y0, x1, y1 = box
    return Frame(np.array([x0 + x1, y0 + y1]) / 2, max(x1 - x0, y1 - y0) / 2)


def not_faint(mask: Image.Image) -> Image.Image:
    """255 where a mask of mode ``L`` covers a tenth of a pixel or more, as thin parts of a chain do, else 0."""
    return mask.point([0] * FAINT + [255] * (256 - FAINT))


def cut_out(image: Image.Image, mask: Image.Image, factor: int) -> Cutout:
    """Cut an ornament out.

    Args:
        image: ``RGB``.
        mask: ``L``, as many pixels; it is not all 0.
        factor: Pixels that are averaged for a texel, across and down.

    Returns:
        The part of the image in which there is any coverage.
    """
    window = _window(mask, factor)
    bands = [*image.crop(window).split(), mask.crop(window)]
    return _cutout(Image.merge("RGBA", bands).convert("RGBa"), window, factor)


def cut_out_mask(mask: Image.Image, factor: int) -> Cutout:
    """The coverage alone of what :func:`cut_out` gives, as one channel."""
    window = _window(mask, factor)
    return _cutout(mask.crop(window), window, factor)


def _window(mask: Image.Image, factor: int) -> tuple[int, int, int, int]:
    """Box of all coverage, a pixel wider, and enlarged to whole texels."""
    box = mask.getbbox()
    assert box is not None
    x0, y0, x1, y1 = box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1
    return x0, y0, x0 - (x0 - x1) // factor * factor, y0 - (y0 - y1) // factor * factor


def _cutout(image: Image.Image, window: tuple[int, int, int, int], factor: int) -> Cutout:
    values = np.array(image.reduce(factor), dtype=np.float32) / 255
    texels = torch.from_numpy(np.atleast_3d(values)).permute(2, 0, 1)[None]
    return Cutout(texels.contiguous(), np.array(window[:2], dtype=np.float64), factor)
