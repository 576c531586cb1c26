"""PCK: share of the pixels whose predicted point of the ornament's image is right to a tolerance."""

from collections.abc import Sequence
from typing import Any

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.correspondence_error import REGION, point_errors
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.ssim import masked_mean


class PCK(PerSampleMetric):
    """Percentage of correct keypoints (Yang and Ramanan, 2013), as a share: each worn pixel is one.

    A column ``pck_T`` for each tolerance T: the share of the pixels whose distance, as
    :class:`~ornament_lit.metrics.correspondence_error.CorrespondenceError` measures it, is at most T. Not a number
    where that is not.

    Args:
        tolerances: Shares of the side of the ornament's image.

    Raises:
        ValueError: If there is no tolerance, or one is not within (0, 1).
    """

    higher_is_better = True

    def __init__(self, tolerances: Sequence[float] = (0.05, 0.1)) -> None:
        super().__init__()
        if not tolerances or not all(0 < tolerance < 1 for tolerance in tolerances):
            raise ValueError(f"tolerances must be shares within (0, 1), such as [0.05, 0.1], got {list(tolerances)}")
        self.tolerances = tuple(tolerances)

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Count the pixels."""
        distances, seen = point_errors(batch)
        shares = {tolerance: masked_mean((distances <= tolerance).float(), seen) for tolerance in self.tolerances}
        return Scores({f"pck_{tolerance:g}": share for tolerance, share in shares.items()})

    def protocol(self) -> dict[str, Any]:
        """Unit and region."""
        return super().protocol() | {"unit": "side of the ornament's image", "region": REGION}
