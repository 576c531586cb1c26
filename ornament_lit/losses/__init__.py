"""Losses that are no family of their own."""

from ornament_lit.losses.diffusion import DiffusionLoss
from ornament_lit.losses.warp import WarpLoss

__all__ = ["DiffusionLoss", "WarpLoss"]
