"""Warps: where each pixel of the worn ornament comes from in the ornament's image."""

from ornament_lit.models.warps.base import Warp
from ornament_lit.models.warps.none import NoWarp
from ornament_lit.models.warps.pose_aware import PoseAwareWarp

__all__ = ["NoWarp", "PoseAwareWarp", "Warp"]
