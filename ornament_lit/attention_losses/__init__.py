"""Attention losses: what the denoiser's attention on the ornament is asked for."""

from ornament_lit.attention_losses.base import AttentionLoss
from ornament_lit.attention_losses.combined import CombinedAttentionLoss
from ornament_lit.attention_losses.correspondence import CorrespondenceAttentionLoss
from ornament_lit.attention_losses.expected_position import ExpectedPositionLoss
from ornament_lit.attention_losses.mask_guided import MaskGuidedAttentionLoss
from ornament_lit.attention_losses.matched import Matched
from ornament_lit.attention_losses.zero import ZeroAttentionLoss

__all__ = [
    "AttentionLoss",
    "CombinedAttentionLoss",
    "CorrespondenceAttentionLoss",
    "ExpectedPositionLoss",
    "MaskGuidedAttentionLoss",
    "Matched",
    "ZeroAttentionLoss",
]
