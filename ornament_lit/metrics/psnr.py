"""PSNR: ratio of signal to noise inside and outside the box, and on the ornament."""

from typing import Any

import torch

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.ssim import masked_mean

CEILING = 100.0


class PSNR(PerSampleMetric):
    """Peak signal-to-noise ratio in decibels, inside and outside the box and on the ornament.

    The columns are ``psnr_inside`` and ``psnr_outside`` (the box) and ``psnr_worn`` (inside the true wearing mask). It
    is at most 100 dB, which stands for equal pixels: an infinite value would swallow the mean. Not a number where a
    side has no pixel.
    """

    higher_is_better = True
    has_bounds = True
    unbounded = ("psnr_outside",)

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure both sides of the box, and the ornament."""
        squares = ((batch["generated_image"] - batch["person_image"]) / 2).square().mean(1, keepdim=True)
        box = batch["box_mask"] > 0.5
        regions = {"psnr_inside": box, "psnr_outside": ~box, "psnr_worn": batch["wearing_mask"] > 0.5}
        errors = {name: masked_mean(squares, region) for name, region in regions.items()}
        return Scores({name: (-10 * torch.log10(error)).clamp(max=CEILING) for name, error in errors.items()})

    def protocol(self) -> dict[str, Any]:
        """Range, ceiling and region."""
        return super().protocol() | {"colors": "RGB", "ceiling_db": CEILING, "region": "crop"}
