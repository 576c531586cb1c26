"""SSIM: structural similarity to the ground truth inside and outside the box."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores

BORDER = 5  # a Gaussian of deviation 1.5 is cut after 3.5 deviations


class SSIM(PerSampleMetric):
    """Structural similarity of generated image and ground truth, inside and outside the box and on the ornament.

    The columns are ``ssim_inside`` and ``ssim_outside`` (the box) and ``ssim_worn`` (inside the true wearing mask).

    Wang's form: a Gaussian window of deviation 1.5 px (11 x 11), averaged over the colours, and over those pixels of
    each side whose window lies in the crop. Windows at the edge of the box reach across it; there each side sees the
    ground truth on the other side, so that the sides do not mix: what is generated inside leaves the outside at 1. Not
    a number where a side has no pixel.

    Raises:
        ValueError: On an update with images of 10 px or less.
    """

    higher_is_better = True
    has_bounds = True
    unbounded = ("ssim_outside",)

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Average the map of similarities over both sides of the box, and over the ornament."""
        if min(batch["generated_image"].shape[-2:]) <= 2 * BORDER:
            raise ValueError(
                f"SSIM needs images of more than {2 * BORDER} px, got {batch['generated_image'].shape[-1]}"
            )
        generated, ground_truth, box = batch["generated_image"], batch["person_image"], batch["box_mask"] > 0.5
        sides = {"ssim_inside": box, "ssim_outside": ~box, "ssim_worn": batch["wearing_mask"] > 0.5}
        return Scores(
            {
                name: side_mean(torch.where(side, generated, ground_truth), ground_truth, side)
                for name, side in sides.items()
            }
        )

    def protocol(self) -> dict[str, Any]:
        """Window, colours and region."""
        return super().protocol() | {"window": "Gaussian, deviation 1.5 px, 11 x 11", "colors": "RGB", "region": "crop"}


def side_mean(first: Tensor, second: Tensor, side: Tensor) -> Tensor:
    """Mean similarity over a boolean mask (B, 1, H, W) of two images (B, 3, H, W) in [-1, 1], (B,)."""
    return masked_mean(ssim_map(first, second), side[..., BORDER:-BORDER, BORDER:-BORDER])


def ssim_map(first: Tensor, second: Tensor) -> Tensor:
    """Similarity of each pixel whose window lies in the images.

    Args:
        first: (B, 3, H, W) in [-1, 1].
        second: (B, 3, H, W) in [-1, 1].

    Returns:
        (B, 1, H - 10, W - 10), averaged over the colours.
    """
    _, similarities = structural_similarity_index_measure(
        first, second, sigma=1.5, data_range=(-1.0, 1.0), reduction="none", return_full_image=True
    )
    return similarities[..., BORDER:-BORDER, BORDER:-BORDER].mean(1, keepdim=True)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, 1, H, W) values over a boolean mask of that shape, (B,); not a number where a mask is empty."""
    count = mask.flatten(1).sum(1)
    return torch.where(mask, values, 0.0).flatten(1).sum(1) / count
