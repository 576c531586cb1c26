"""CorrespondenceError: how far the predicted points of the ornament's image are from the true ones.

Shape legend: B batch, H = W side of the images.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ornament_lit.imaging.sliding import slid_correspondence
from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.ssim import masked_mean

REGION = "pixels whose point is known and seen"


class PointErrors(NamedTuple):
    """Distances of points over the side of the ornament's image, and which pixels have a true one; (B, 1, H, W)."""

    distances: Tensor
    seen: Tensor


class CorrespondenceError(PerSampleMetric):
    """Mean distance of predicted and true points, as a share of the side of the ornament's image.

    The column is ``correspondence_error``. Averaged are the pixels more than half of which show a point that is seen
    in the ornament's image, too. Not a number where there is none, the data have no correspondence, or the model
    predicts none.

    Which side of a closed piece that looks the same all the way round faces the camera, nothing tells. So
    ``correspondence_error_slid`` is the least of this error and of that to the true points slid to the front
    (:func:`ornament_lit.imaging.sliding.slide_to_front`); it is the same for all other pieces.
    """

    higher_is_better = False

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Average the distances."""
        errors, slid = point_errors(batch), point_errors(slid_batch(batch))
        as_is, as_slid = (masked_mean(some.distances, errors.seen) for some in (errors, slid))
        return Scores({"correspondence_error": as_is, "correspondence_error_slid": torch.minimum(as_is, as_slid)})

    def protocol(self) -> dict[str, Any]:
        """Unit and region."""
        return super().protocol() | {"unit": "side of the ornament's image", "region": REGION}


def slid_batch(batch: GeneratedBatch) -> GeneratedBatch:
    """The batch with its true points slid to the front of pieces that look the same all the way round."""
    if "correspondence" not in batch:
        return batch
    ground_truth, mask = batch["correspondence"], batch["ornament_mask"]
    texture = torch.cat([batch["ornament_image"] * mask, mask], dim=1)
    return GeneratedBatch(**{**batch, "correspondence": slid_correspondence(ground_truth, texture)})


def point_errors(batch: GeneratedBatch) -> PointErrors:
    """Compare points; where one side has none, no pixel is seen."""
    if "correspondence" not in batch or "generated_correspondence" not in batch:
        nothing = torch.zeros_like(batch["wearing_mask"])
        return PointErrors(nothing, nothing > 0)
    ground_truth = batch["correspondence"]
    distances = (batch["generated_correspondence"] - ground_truth["uv"]).norm(dim=1, keepdim=True) / 2
    return PointErrors(distances, ground_truth["seen"] > 0.5)
