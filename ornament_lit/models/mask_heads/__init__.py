"""Mask heads: where the ornament will be worn, from the box and the reference features."""

from ornament_lit.models.mask_heads.base import MaskHead
from ornament_lit.models.mask_heads.box import BoxMaskHead
from ornament_lit.models.mask_heads.pose_aware import PoseAwareMaskHead

__all__ = ["BoxMaskHead", "MaskHead", "PoseAwareMaskHead"]
