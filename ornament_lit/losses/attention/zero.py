"""ZeroAttentionLoss: no constraint on the attention."""

import torch
from torch import Tensor

from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched
from ornament_lit.models.denoiser import Denoiser


class ZeroAttentionLoss(AttentionLoss):
    """No constraint on the attention: the paper's ablation without mask-guided attention."""

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for no layer."""
        return []

    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Return 0 and an empty attention mask."""
        return wearing_mask.new_zeros(()), torch.zeros_like(wearing_mask)
