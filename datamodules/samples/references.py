"""The ornament's image as a sample shows it: turned, and the crop around its mask."""

import random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.samples.decoding import Triplet
from datamodules.samples.turning import turn_image, turn_mask, turn_points
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.crops import ORNAMENT_FACTOR, image_to_tensor, mask_to_tensor
from ornament_lit.imaging.geometry import Crop, mask_to_box, square_crop


class Reference(NamedTuple):
    """A crop of the ornament's image.

    Attributes:
        image: The turned image, ``RGB``.
        mask: Its mask, ``L``.
        crop: The crop in it.
        angle: By how many degrees it was turned.
        size: Width and height of the image before.
    """

    image: Image.Image
    mask: Image.Image
    crop: Crop
    angle: float
    size: tuple[int, int]

    def tensors(self, resolution: int) -> tuple[Tensor, Tensor]:
        """Image (3, r, r) in [-1, 1] and mask (1, r, r) in [0, 1] at a resolution r."""
        return image_to_tensor(self.image, self.crop, resolution), mask_to_tensor(self.mask, self.crop, resolution)

    def places(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Where points of the image, (..., 2) in pixels, are in the turned one."""
        return turn_points(points, self.angle, self.size, self.image.size) if self.angle else points


def draw_reference(triplet: Triplet, rotation: float, scale: tuple[float, float], rng: random.Random) -> Reference:
    """Draw how the ornament's image is turned and scaled.

    Args:
        triplet: The sample.
        rotation: Greatest angle in degrees, either way.
        scale: Least and greatest factor of the ornament's size in its crop.
        rng: Source of chance.

    Raises:
        SampleError: ``empty_mask``, if nothing is left of a thin mask once it is turned.
    """
    image, mask, factor, angle = triplet.ornament, triplet.ornament_mask, ORNAMENT_FACTOR, 0.0
    if rotation:
        angle = rng.uniform(-rotation, rotation)
        image, mask = turn_image(image, angle), turn_mask(mask, angle)
    if scale != (1.0, 1.0):
        factor /= rng.uniform(*scale)
    box = mask_to_box(mask)
    if box is None:
        raise SampleError(
            f"{triplet.key}: an ornament mask must have a pixel above 127, got none after a turn; the ornament is "
            "too thin for reference_rotation",
            "empty_mask",
        )
    return Reference(image, mask, square_crop(box, factor), angle, triplet.ornament.size)
