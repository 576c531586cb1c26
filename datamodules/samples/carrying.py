"""A correspondence through what is done to the person's image: crops, turns and other sizes.

Points are averaged over what is known alone: they are multiplied by it, resampled, and divided by what is known then.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence
from ornament_lit.batch import Correspondence
from ornament_lit.imaging.geometry import Crop

LEAST = 1 / 512


def resample(correspondence: PixelCorrespondence, change: Callable[[Image.Image], Image.Image]) -> PixelCorrespondence:
    """Do to a correspondence what is done to the person's masks.

    Args:
        correspondence: Before it.
        change: What is done to an image of mode ``F``: some linear resampling, with 0 outside.

    Returns:
        The correspondence after it; what is known of less than :data:`LEAST` of a pixel is not known there.
    """
    points, known, seen = correspondence
    planes = [points[..., 0] * known, points[..., 1] * known, known, seen]
    x, y, known, seen = (np.asarray(change(Image.fromarray(plane)), np.float32) for plane in planes)
    kept = known > LEAST
    means = np.stack([x, y], -1) / np.where(kept, known, 1)[..., None]
    known = np.where(kept, np.minimum(known, 1), np.float32(0))
    return PixelCorrespondence(np.where(kept[..., None], means, 0), known, np.minimum(np.maximum(seen, 0), known))


def crop_correspondence(correspondence: PixelCorrespondence, crop: Crop, resolution: int) -> PixelCorrespondence:
    """What a crop of the person shows, as :func:`ornament_lit.imaging.geometry.crop_and_resize` cuts masks.

    Args:
        correspondence: Of the whole image.
        crop: The crop, which may lie partly outside.
        resolution: Side of the result in pixels.
    """

    def change(plane: Image.Image) -> Image.Image:
        part = plane.crop((crop.left, crop.top, crop.left + crop.size, crop.top + crop.size))
        return part.resize((resolution, resolution), Image.Resampling.BILINEAR)

    return resample(correspondence, change)


def to_tensors(correspondence: PixelCorrespondence, crop: Crop) -> Correspondence:
    """Tensors of a sample, without the batch dimension.

    Args:
        correspondence: Of the person's crop.
        crop: The ornament's crop in the image that the points are in.
    """
    points, known, seen = correspondence
    places = (points - (crop.left, crop.top)) * (2 / crop.size) - 1
    uv = np.where(known[..., None] > 0, places, 0).astype(np.float32).transpose(2, 0, 1)
    return Correspondence(uv=_tensor(uv), known=_tensor(known[None]), seen=_tensor(seen[None]))


def unknown(resolution: int) -> Correspondence:
    """Tensors of a sample whose correspondence nobody knows."""
    one = torch.zeros(1, resolution, resolution)
    return Correspondence(uv=one.expand(2, -1, -1).clone(), known=one, seen=one.clone())


def mirror(correspondence: Correspondence) -> Correspondence:
    """The correspondence of two mirrored images."""
    x, y = correspondence["uv"].flip(-1)
    return Correspondence(
        uv=torch.stack([-x, y]), known=correspondence["known"].flip(-1), seen=correspondence["seen"].flip(-1)
    )


def _tensor(array: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))
