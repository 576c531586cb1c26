"""MeanLosses: losses averaged over all samples of all processes, of which some may have had none."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class MeanLosses(Metric):
    """Mean of each loss over samples.

    Lightning's own ``log(..., sync_dist=True)`` waits for ever where a process has no batch.

    Args:
        names: The losses.
    """

    sums: Tensor
    count: Tensor

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = tuple(names)
        self.add_state("sums", torch.zeros(len(self.names), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, losses: Mapping[str, Tensor], num_samples: int) -> None:
        """Add a batch.

        Args:
            losses: Means over the batch, scalars, by name.
            num_samples: Samples of the batch.
        """
        self.sums += num_samples * torch.stack([losses[name].detach() for name in self.names]).to(self.sums)
        self.count += num_samples

    def compute(self) -> dict[str, Tensor]:
        """The means by name, scalars; NaN where there was no sample at all."""
        return dict(zip(self.names, (self.sums / self.count).float(), strict=True))
