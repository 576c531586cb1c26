"""PSNR: ratio of signal to noise inside and outside the box."""

from typing import Any

import torch

from ornament_lit.metrics.base import DrawnBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.ssim import masked_mean

CEILING = 100.0


class PSNR(PerSampleMetric):
    """Peak signal-to-noise ratio in decibels, in the columns ``psnr_inside`` and ``psnr_outside`` the box.

    It is at most 100 dB, which stands for equal pixels: an infinite value would swallow the mean. Not a number where a
    side has no pixel.
    """

    higher_is_better = True

    def measure(self, batch: DrawnBatch) -> Scores:
        """Measure both sides of the box."""
        squares = ((batch["drawn_image"] - batch["person_image"]) / 2).square().mean(1, keepdim=True)
        box = batch["box_mask"] > 0.5
        errors = {"psnr_inside": masked_mean(squares, box), "psnr_outside": masked_mean(squares, ~box)}
        return Scores({name: (-10 * torch.log10(error)).clamp(max=CEILING) for name, error in errors.items()})

    def protocol(self) -> dict[str, Any]:
        """Range, ceiling and region."""
        return super().protocol() | {"colors": "RGB", "ceiling_db": CEILING, "region": "crop"}
