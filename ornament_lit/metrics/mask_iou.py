"""MaskIoU: how well predicted wearing masks cover the true ones, for the box and after each iteration.

Shape legend: B batch, T iterations, H, W image size, C categories, K thresholds.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from ornament_lit.utils.categories import CATEGORIES

THRESHOLDS: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(1, 20))


class MaskIoU(Metric):
    """Intersection over union of thresholded masks with the ground truth, averaged over samples.

    It is kept for each category, for each threshold of a grid, and for each stage: the box alone (which no threshold
    changes) and iterations 1 to T. A prediction that is empty scores 0, whatever the ground truth.

    Args:
        num_iterations: T, how many masks are predicted one after the other; 0 measures the box only.
        thresholds: The grid; a pixel counts where its probability exceeds the threshold.

    Raises:
        ValueError: If ``num_iterations`` is negative, or the grid is empty or not within (0, 1).
    """

    full_state_update = False
    higher_is_better = True
    is_differentiable = False

    iou_sums: Tensor
    counts: Tensor

    def __init__(self, num_iterations: int, thresholds: Sequence[float] = THRESHOLDS) -> None:
        """Check the arguments and start at nothing."""
        super().__init__()
        if num_iterations < 0:
            raise ValueError(f"num_iterations must be 0 or more, got {num_iterations}")
        if not thresholds or not all(0.0 < threshold < 1.0 for threshold in thresholds):
            raise ValueError(f"thresholds must be probabilities in (0, 1), at least one, got {list(thresholds)}")
        self.num_iterations = num_iterations
        self.thresholds = tuple(thresholds)
        shape = (len(CATEGORIES), len(self.thresholds), 1 + num_iterations)
        self.add_state("iou_sums", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("counts", torch.zeros(len(CATEGORIES)), dist_reduce_fx="sum")

    def update(self, mask_predictions: Tensor, box_mask: Tensor, wearing_mask: Tensor, category: Sequence[str]) -> None:
        """Add a batch.

        Args:
            mask_predictions: (T, B, 1, H, W) in [0, 1].
            box_mask: (B, 1, H, W), 1 inside the box.
            wearing_mask: The ground truth, (B, 1, H, W) in [0, 1]; above 0.5 is ornament.
            category: One of :data:`ornament_lit.utils.categories.CATEGORIES` for each sample.

        Raises:
            ValueError: If a shape or a category is not as said above.
        """
        self._check(mask_predictions, box_mask, wearing_mask, category)
        ground_truth = wearing_mask > 0.5
        box = iou(box_mask > 0.5, ground_truth)[None]
        stages = [torch.cat([box, iou(mask_predictions > threshold, ground_truth)]) for threshold in self.thresholds]
        rows = torch.tensor([CATEGORIES.index(name) for name in category], device=self.counts.device)
        self.iou_sums = self.iou_sums.index_add(0, rows, torch.stack(stages).permute(2, 0, 1))
        self.counts = self.counts.index_add(0, rows, torch.ones_like(rows, dtype=self.counts.dtype))

    def compute(self) -> dict[str, Tensor]:
        """Average over the samples of all ranks; to be called on each rank.

        Returns:
            ``iou``, (1 + C, K, 1 + T): all samples, then each category; not a number where there is no sample.
            ``num_samples``, (1 + C,).
        """
        sums = torch.cat([self.iou_sums.sum(0, keepdim=True), self.iou_sums])
        counts = torch.cat([self.counts.sum(0, keepdim=True), self.counts])
        return {"iou": sums / counts[:, None, None], "num_samples": counts}

    def summary(self, threshold: float) -> dict[str, Any]:
        """Tabulate the averages at one threshold; to be called on each rank.

        Args:
            threshold: The nearest one of the grid is taken.

        Returns:
            A structure that JSON can hold: ``iou`` by stage (``box``, ``1``, ..., ``T``), ``iou_per_type`` the same
            for each category that has samples, the ``threshold`` taken, and ``num_samples``.
        """
        index, nearest = min(enumerate(self.thresholds), key=lambda entry: abs(entry[1] - threshold))
        computed = self.compute()
        stages = ["box", *(str(iteration + 1) for iteration in range(self.num_iterations))]
        rows = [dict(zip(stages, row, strict=True)) for row in computed["iou"][:, index].tolist()]
        counts = [int(count) for count in computed["num_samples"].tolist()]
        per_type = zip(CATEGORIES, rows[1:], counts[1:], strict=True)
        return {
            "iou": rows[0],
            "iou_per_type": {name: row for name, row, count in per_type if count},
            "threshold": nearest,
            "num_samples": counts[0],
        }

    def best_threshold(self) -> float:
        """Threshold of the grid with the highest average over samples and iterations; to be called on each rank.

        Raises:
            ValueError: If nothing was predicted, so that every threshold is as good as another.
        """
        average = self.compute()["iou"][0, :, 1:].mean(1)
        if not bool(average.isfinite().all()):
            raise ValueError("a best threshold needs samples and at least one iteration; call update before")
        return self.thresholds[int(average.argmax())]

    def _check(self, predictions: Tensor, box_mask: Tensor, wearing_mask: Tensor, category: Sequence[str]) -> None:
        expected = (self.num_iterations, *wearing_mask.shape)
        if tuple(predictions.shape) != expected:
            raise ValueError(f"mask_predictions must be (T, B, 1, H, W) = {expected}, got {tuple(predictions.shape)}")
        if box_mask.shape != wearing_mask.shape or len(category) != len(wearing_mask):
            raise ValueError(
                f"box_mask and category must fit wearing_mask {tuple(wearing_mask.shape)}, "
                f"got {tuple(box_mask.shape)} and {len(category)} categories"
            )
        unknown = sorted(set(category) - set(CATEGORIES))
        if unknown:
            raise ValueError(f"a category is one of {', '.join(CATEGORIES)}, got {', '.join(unknown)}")


def iou(prediction: Tensor, ground_truth: Tensor) -> Tensor:
    """Intersection over union of boolean masks.

    Args:
        prediction: (..., 1, H, W) bool.
        ground_truth: (..., 1, H, W) bool; the leading dimensions are broadcast.

    Returns:
        (...) float32 in [0, 1]; 0 where both are empty.
    """
    intersection = (prediction & ground_truth).flatten(-3).sum(-1)
    union = (prediction | ground_truth).flatten(-3).sum(-1)
    return intersection.float() / union.clamp(min=1)
