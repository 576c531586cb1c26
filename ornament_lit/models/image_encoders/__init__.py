"""Image encoders: tokens of the ornament for the denoiser's cross-attention."""

from ornament_lit.models.image_encoders.base import ImageEncoder
from ornament_lit.models.image_encoders.class_token import ClassTokenImageEncoder
from ornament_lit.models.image_encoders.clip import CLIPImageEncoder
from ornament_lit.models.image_encoders.dinov2 import DINOv2ImageEncoder
from ornament_lit.models.image_encoders.embedding import EmbeddingImageEncoder
from ornament_lit.models.image_encoders.none import NoImageEncoder
from ornament_lit.models.image_encoders.resampler import ResamplerImageEncoder

__all__ = [
    "CLIPImageEncoder",
    "ClassTokenImageEncoder",
    "DINOv2ImageEncoder",
    "EmbeddingImageEncoder",
    "ImageEncoder",
    "NoImageEncoder",
    "ResamplerImageEncoder",
]
