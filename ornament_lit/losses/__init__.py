"""Losses: of the diffusion (L1), of the attention (L3, a family), of the warp; L2 belongs to the mask head."""

from ornament_lit.losses.diffusion import DiffusionLoss
from ornament_lit.losses.warp import WarpLoss

__all__ = ["DiffusionLoss", "WarpLoss"]
