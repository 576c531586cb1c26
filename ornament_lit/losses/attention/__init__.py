"""Attention losses: what the denoiser's attention on the ornament is asked for."""

from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.combined import CombinedAttentionLoss
from ornament_lit.losses.attention.correspondence import CorrespondenceAttentionLoss
from ornament_lit.losses.attention.expected_position import ExpectedPositionLoss
from ornament_lit.losses.attention.mask_guided import MaskGuidedAttentionLoss
from ornament_lit.losses.attention.matched import Matched
from ornament_lit.losses.attention.zero import ZeroAttentionLoss

__all__ = [
    "AttentionLoss",
    "CombinedAttentionLoss",
    "CorrespondenceAttentionLoss",
    "ExpectedPositionLoss",
    "MaskGuidedAttentionLoss",
    "Matched",
    "ZeroAttentionLoss",
]
