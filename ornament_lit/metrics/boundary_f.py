"""BoundaryF: how well the outlines of predicted masks follow the true one."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.stages import check_threshold, stages


class BoundaryF(PerSampleMetric):
    """F-measure of outlines (DAVIS), in the columns ``boundary_f_box`` and ``boundary_f_1`` to ``boundary_f_T``.

    Precision is the share of the predicted outline that lies within the tolerance of the true one; recall is the same
    the other way round. An empty prediction scores 0.

    Args:
        threshold: A pixel counts where its predicted probability exceeds it.
        tolerance: Distance that is still right, as a share of the image's diagonal (DAVIS takes 0.008), rounded up
            to whole pixels.

    Raises:
        ValueError: If the threshold is not within (0, 1), or the tolerance is negative.
    """

    higher_is_better = True

    def __init__(self, threshold: float = 0.5, tolerance: float = 0.008) -> None:
        super().__init__()
        self.threshold = check_threshold(threshold)
        if tolerance < 0:
            raise ValueError(f"tolerance must be 0 or more, as a share of the diagonal, got {tolerance}")
        self.tolerance = tolerance

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure box and iterations."""
        ground_truth = batch["wearing_mask"] > 0.5
        radius = math.ceil(self.tolerance * math.hypot(*ground_truth.shape[-2:]))
        masks = stages(batch, self.threshold)
        return Scores({f"boundary_f_{name}": boundary_f(mask, ground_truth, radius) for name, mask in masks.items()})

    def protocol(self) -> dict[str, Any]:
        """Threshold and tolerance."""
        options = {"threshold": self.threshold, "tolerance": self.tolerance}
        return super().protocol() | options | {"region": "crop"}


def boundary_f(prediction: Tensor, ground_truth: Tensor, radius: int) -> Tensor:
    """F-measure of the outlines of boolean masks (B, 1, H, W), (B,) in [0, 1]; 0 where either has no outline."""
    ours, theirs = outline(prediction), outline(ground_truth)
    precision = _share(ours, near(theirs, radius))
    recall = _share(theirs, near(ours, radius))
    return 2 * precision * recall / (precision + recall).clamp(min=torch.finfo(precision.dtype).tiny)


def outline(mask: Tensor) -> Tensor:
    """Pixels that differ from their neighbour to the right, below, or diagonally below, as DAVIS takes them.

    Args:
        mask: (B, 1, H, W) bool; the image's edge is no outline.

    Returns:
        (B, 1, H, W) bool.
    """
    padded = F.pad(mask.float(), (0, 1, 0, 1), mode="replicate") > 0.5
    right, below, diagonal = padded[..., :-1, 1:], padded[..., 1:, :-1], padded[..., 1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ diagonal)


def near(mask: Tensor, radius: int) -> Tensor:
    """Pixels whose distance to a boolean mask (B, 1, H, W) is at most ``radius`` pixels."""
    steps = torch.arange(-radius, radius + 1, device=mask.device, dtype=torch.float32)
    disk = (steps[:, None].square() + steps.square() <= radius**2).float()
    return F.conv2d(mask.float(), disk[None, None], padding=radius) > 0.5


def _share(part: Tensor, whole: Tensor) -> Tensor:
    """Share of ``part`` that lies in ``whole``, (B,); 0 where ``part`` is empty."""
    return (part & whole).flatten(1).sum(1).float() / part.flatten(1).sum(1).clamp(min=1)
