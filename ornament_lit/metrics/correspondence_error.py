"""CorrespondenceError: how far the predicted points of the ornament's picture are from the true ones.

Shape legend: B batch, H = W side of the pictures.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ornament_lit.metrics.base import DrawnBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.ssim import masked_mean

REGION = "pixels whose point is known and seen"


class PointErrors(NamedTuple):
    """Distances of points over the side of the ornament's picture, and which pixels have a true one; (B, 1, H, W)."""

    distances: Tensor
    seen: Tensor


class CorrespondenceError(PerSampleMetric):
    """Mean distance of predicted and true points, as a share of the side of the ornament's picture.

    The column is ``correspondence_error``. Averaged are the pixels more than half of which show a point that is seen
    in the ornament's picture, too. Not a number where there is none, the data have no correspondence, or the model
    predicts none.
    """

    higher_is_better = False

    def measure(self, batch: DrawnBatch) -> Scores:
        """Average the distances."""
        errors = point_errors(batch)
        return Scores({"correspondence_error": masked_mean(errors.distances, errors.seen)})

    def protocol(self) -> dict[str, Any]:
        """Unit and region."""
        return super().protocol() | {"unit": "side of the ornament's picture", "region": REGION}


def point_errors(batch: DrawnBatch) -> PointErrors:
    """Compare points; where one side has none, no pixel is seen."""
    if "correspondence" not in batch or "drawn_correspondence" not in batch:
        nothing = torch.zeros_like(batch["wearing_mask"])
        return PointErrors(nothing, nothing > 0)
    truth = batch["correspondence"]
    distances = (batch["drawn_correspondence"] - truth["uv"]).norm(dim=1, keepdim=True) / 2
    return PointErrors(distances, truth["seen"] > 0.5)
