"""Regions: which part of an image is measured.

Shape legend: B batch; h, w size of the part.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch

Region = Literal["crop", "box", "worn", "full"]
ReferenceRegion = Literal["whole", "box", "cutout"]


class Views(NamedTuple):
    """The same part of generated image and ground truth: B images (3, h, w) in [-1, 1] each, of one size or several."""

    generated: list[Tensor]
    ground_truth: list[Tensor]


def person_views(batch: GeneratedBatch, region: Region) -> Views:
    """Cut the part to be measured out of generated images and ground truth.

    Args:
        batch: The generated batch.
        region: ``crop`` for the square crop that the model generates; ``box`` for the smallest square around the box
            in it; ``worn`` for the crop with the ground truth everywhere but on the ornament; ``full`` for the whole
            photograph with the generated image pasted back.

    Raises:
        ValueError: If ``full`` is asked for and the batch has no photographs, or a box is empty.
    """
    if region == "full":
        if "generated_photograph" not in batch or "person_photograph" not in batch:
            raise ValueError(
                "region full measures whole photographs, and the batch has no generated_photograph and "
                "person_photograph; take the region crop or box"
            )
        return Views(batch["generated_photograph"], batch["person_photograph"])
    if region == "crop":
        return Views(list(batch["generated_image"]), list(batch["person_image"]))
    if region == "worn":
        generated_worn = torch.where(batch["wearing_mask"] > 0.5, batch["generated_image"], batch["person_image"])
        return Views(list(generated_worn), list(batch["person_image"]))
    crops = [square_around(mask, key) for mask, key in zip(batch["box_mask"], batch["key"], strict=True)]
    generated, ground_truth = (
        [image[:, rows, columns] for image, (rows, columns) in zip(images, crops, strict=True)]
        for images in (batch["generated_image"], batch["person_image"])
    )
    return Views(generated, ground_truth)


def ornament_views(batch: GeneratedBatch, region: ReferenceRegion) -> list[Tensor]:
    """Cut the part to be compared with out of the reference images.

    Args:
        batch: The generated batch.
        region: ``whole`` for the image as it is; ``box`` for the smallest square around the ornament; ``cutout`` for
            that square with white where the ornament is not.

    Returns:
        B images (3, h, w) in [-1, 1].

    Raises:
        ValueError: If a mask is empty where it is needed.
    """
    if region == "whole":
        return list(batch["ornament_image"])
    crops = [square_around(mask, key) for mask, key in zip(batch["ornament_mask"], batch["key"], strict=True)]
    images, masks = batch["ornament_image"], batch["ornament_mask"]
    if region == "cutout":
        images = masks * images + (1 - masks)
    return [image[:, rows, columns] for image, (rows, columns) in zip(images, crops, strict=True)]


def square_around(mask: Tensor, key: str = "the sample") -> tuple[slice, slice]:
    """Smallest square that holds a mask and lies in the image; where none does, it is cut at the image's edge.

    Args:
        mask: (1, H, W); above 0.5 is inside.
        key: Name of the sample, for the error.

    Returns:
        Rows and columns.

    Raises:
        ValueError: If the mask is empty.
    """
    inside = mask[0] > 0.5
    if not bool(inside.any()):
        raise ValueError(f"the box of {key} has no pixel in its image, so that there is nothing to measure in it")
    spans = [torch.nonzero(inside.any(dim)).flatten()[[0, -1]].tolist() for dim in (1, 0)]
    side = max(last - first + 1 for first, last in spans)
    rows, columns = (_span(first, last, side, size) for (first, last), size in zip(spans, inside.shape, strict=True))
    return rows, columns


def _span(first: int, last: int, side: int, size: int) -> slice:
    """A stretch of ``side`` around the middle of [first, last], moved into [0, size)."""
    side = min(side, size)
    start = min(max(0, (first + last + 1 - side) // 2), size - side)
    return slice(start, start + side)
