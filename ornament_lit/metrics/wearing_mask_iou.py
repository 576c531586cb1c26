"""WearingMaskIoU: how well the box and each predicted mask cover the true one, sample by sample."""

from typing import Any

import torch

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.mask_iou import iou
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.stages import check_threshold, stages


class WearingMaskIoU(PerSampleMetric):
    """Intersection over union with the true wearing mask, in the columns ``iou_box`` and ``iou_1`` to ``iou_T``.

    Args:
        threshold: A pixel counts where its predicted probability exceeds it.

    Raises:
        ValueError: If the threshold is not within (0, 1).
    """

    higher_is_better = True

    def __init__(self, threshold: float = 0.5) -> None:
        super().__init__()
        self.threshold = check_threshold(threshold)

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Measure box and iterations."""
        ground_truth = batch["wearing_mask"] > 0.5
        masks = stages(batch, self.threshold)
        values = iou(torch.stack(list(masks.values())), ground_truth)
        return Scores({f"iou_{name}": row for name, row in zip(masks, values, strict=True)})

    def protocol(self) -> dict[str, Any]:
        """The threshold."""
        return super().protocol() | {"threshold": self.threshold, "region": "crop"}
