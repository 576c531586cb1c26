"""Image encoders: tokens of the ornament for the denoiser's cross-attention."""

from ornament_lit.models.image_encoders.base import ImageEncoder
from ornament_lit.models.image_encoders.clip import CLIPImageEncoder
from ornament_lit.models.image_encoders.none import NoImageEncoder

__all__ = ["CLIPImageEncoder", "ImageEncoder", "NoImageEncoder"]
