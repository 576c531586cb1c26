"""RefreshUntilStable: until the mask stays the same."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ornament_lit.diffusion.refresh_policies.base import RefreshPolicy


def soft_iou(first: Tensor, second: Tensor) -> Tensor:
    """Overlap of masks without a threshold, sum of minima over sum of maxima, (B,); 1 where both are empty.

    Args:
        first: (B, 1, h, w) in [0, 1].
        second: Of the same shape.
    """
    common = torch.minimum(first, second).flatten(1).sum(1)
    union = torch.maximum(first, second).flatten(1).sum(1)
    return torch.where(union > 0, common / union.clamp_min(torch.finfo(union.dtype).tiny), 1.0)


class RefreshUntilStable(RefreshPolicy):
    """Refine the mask along the denoising until two refinements agree, for each sample by itself.

    For studies: as by :class:`RefreshEverySteps`, masks get worse by it, until they agree.

    Args:
        threshold: Overlap of two successive masks, in (0, 1], from which on a sample is frozen.
        every: Steps from one refresh to the next.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(self, threshold: float = 0.95, every: int = 1) -> None:
        if not 0 < threshold <= 1 or every < 1:
            raise ValueError(f"threshold must lie in (0, 1] and every be at least 1, got {threshold} and {every}")
        self.threshold = threshold
        self.every = every

    def is_due(self, step: int, masks: Sequence[Tensor]) -> Tensor:
        """Samples whose last two masks differ; a frozen sample's masks never do."""
        if step % self.every:
            return torch.zeros(len(masks[-1]), dtype=torch.bool)
        if len(masks) < 2:
            return torch.ones(len(masks[-1]), dtype=torch.bool)
        return (soft_iou(masks[-2], masks[-1]) < self.threshold).cpu()
