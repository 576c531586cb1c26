"""Losses that are no family of their own."""

from ornament_lit.losses.diffusion import DiffusionLoss

__all__ = ["DiffusionLoss"]
