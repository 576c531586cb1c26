"""RefreshOnce: frozen after the first refinement."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ornament_lit.diffusion.refresh_policies.base import RefreshPolicy


class RefreshOnce(RefreshPolicy):
    """Refine the mask before the first step, by all iterations of the mask head, and never again.

    The default: of what was measured, no second look of the reference net makes a better mask than the first.
    """

    def is_due(self, step: int, masks: Sequence[Tensor]) -> Tensor:
        """Never."""
        return torch.zeros(len(masks[-1]), dtype=torch.bool)
