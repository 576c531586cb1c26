"""Ornaments worn on bodies, and laid on a table."""

from datamodules.rendering.poses.laid import lay_out
from datamodules.rendering.poses.worn import wear

__all__ = ["lay_out", "wear"]
