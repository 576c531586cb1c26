"""RefreshEverySteps: at each step, or at each k-th."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ornament_lit.diffusion.refresh_policies.base import RefreshPolicy


class RefreshEverySteps(RefreshPolicy):
    """Refine the mask along the denoising, at each step or at each k-th.

    For studies: masks get worse by it. A reference net that was trained on the box takes a refined mask for a smaller
    box, and the IoU falls with each refresh (.446, .365, .305, .266, .242); see docs/measurements.md.

    Args:
        every: Steps from one refresh to the next; 1 for every step.

    Raises:
        ValueError: If ``every`` is less than 1.
    """

    def __init__(self, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, got {every}; use RefreshOnce for never")
        self.every = every

    def is_due(self, step: int, masks: Sequence[Tensor]) -> Tensor:
        """All samples, at every k-th step."""
        return torch.full((len(masks[-1]),), step % self.every == 0)
