"""Norm of queries and keys, head by head, with a learned temperature and a learned share.

Shape legend: B batch, N queries, K keys, d channels of a head.
"""

import torch
from torch import Tensor, nn

EPSILON = 1e-6


class HeadNorm(nn.Module):
    """Go a learned share of the way from queries and keys to normalised ones (QK norm, Henry et al., 2020, 2010.04245).

    A normalised query is ``tau q / rms(q)``, a normalised key ``k / rms(k)``; with attention's scale of 1 / sqrt(d) the
    score is then the cosine times ``tau sqrt(d)``. What is returned is ``q + share (normalised - q)``, and the same for
    k. With a share of 0 these are q and k themselves, so that pretrained weights behave as before; since the share
    trains, that is a start and not a promise.

    Args:
        heads: Heads of the layer; each has its own share and temperature, which starts at 1.
        start: The share at the beginning, in [0, 1].
    """

    def __init__(self, heads: int, start: float) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.full((heads, 1, 1), float(start)))
        self.log_temperature = nn.Parameter(torch.zeros(heads, 1, 1))

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise queries (B, heads, N, d) and keys (B, heads, K, d)."""
        return self._towards(query, self.log_temperature.exp()), self._towards(key, torch.ones_like(self.share))

    def _towards(self, tokens: Tensor, temperature: Tensor) -> Tensor:
        wide = tokens if tokens.dtype == torch.float64 else tokens.float()
        normalised = temperature * wide * (wide.square().mean(dim=-1, keepdim=True) + EPSILON).rsqrt()
        return (wide + self.share * (normalised - wide)).to(tokens.dtype)


class NoHeadNorm(nn.Module):
    """Queries and keys as they are."""

    def forward(self, query: Tensor, key: Tensor) -> tuple[Tensor, Tensor]:
        """Return both."""
        return query, key
