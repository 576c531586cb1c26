"""Bounds: what figures say of a fill that copies nothing but the colour, and of a perfect warp of the ornament.

Shape legend: B batch, H = W side of the images, k factor of the ornament's detail.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import OtherOrnament, TryOnBatch, other_ornaments
from ornament_lit.metrics.base import Bound, GeneratedImage


def floor_of(batch: TryOnBatch, count: int = 0) -> Bound:
    """The ornament's mean colour inside the true wearing mask.

    Args:
        batch: Of the test data.
        count: With how many of the batch's other ornaments the same is done.
    """
    fills = [mean_colour(*image) for image in _ornaments(batch, count)]
    return _bound(batch, fills)


def ceiling_of(batch: TryOnBatch, count: int = 0) -> Bound:
    """The ornament's image inside the true wearing mask, warped by the true correspondence and not lit.

    Args:
        batch: Of the test data, with ``correspondence``.
        count: With how many of the batch's other ornaments the same is done, by the same correspondence.

    Returns:
        Images; not a number for samples of which no pixel's point is known.
    """
    points, known = batch["correspondence"]["uv"], batch["correspondence"]["known"]
    fills = [warped(*image, points) for image in _ornaments(batch, count)]
    nothing = known.flatten(1).amax(1).view(-1, 1, 1, 1) == 0
    return _bound(batch, [fill.masked_fill(nothing, torch.nan) for fill in fills])


def mean_colour(image: Tensor, mask: Tensor) -> Tensor:
    """Mean colour of images (B, 3, h, w) in [-1, 1] over masks (B, 1, h, w), (B, 3, 1, 1)."""
    return (image * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True)


def warped(image: Tensor, mask: Tensor, points: Tensor) -> Tensor:
    """Sample ornaments, cut out on mid grey, at points of their images.

    Args:
        image: (B, 3, k H, k W) in [-1, 1].
        mask: Where the ornament is in it, (B, 1, k H, k W) in [0, 1].
        points: x and y as :func:`torch.nn.functional.grid_sample` takes them, (B, 2, H, W).

    Returns:
        (B, 3, H, W) in [-1, 1].
    """
    grid = points.permute(0, 2, 3, 1).to(image.dtype)
    return F.grid_sample(image * mask, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _ornaments(batch: TryOnBatch, count: int) -> list[tuple[Tensor, Tensor]]:
    """Image and mask of the right ornaments and of ``count`` others, in detail where there is."""
    return [_detailed(batch), *(_detailed(other) for other in other_ornaments(batch)[:count])]


def _detailed(ornament: TryOnBatch | OtherOrnament) -> tuple[Tensor, Tensor]:
    if "ornament_detail" in ornament:
        return ornament["ornament_detail"]["image"], ornament["ornament_detail"]["mask"]
    return ornament["ornament_image"], ornament["ornament_mask"]


def _bound(batch: TryOnBatch, fills: list[Tensor]) -> Bound:
    """Fill the worn part of the photographs; outside of it they stay."""
    mask, person = batch["wearing_mask"], batch["person_image"]
    filled = [mask * fill + (1 - mask) * person for fill in fills]
    right, *others = [GeneratedImage(generated_image=image, mask_predictions=mask[None][:0]) for image in filled]
    return Bound(**right, wrong_references=others)
