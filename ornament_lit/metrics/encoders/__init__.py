"""Feature encoders: frozen networks that metrics compare images by. Weights are loaded when first needed."""

from ornament_lit.metrics.encoders.base import FeatureEncoder
from ornament_lit.metrics.encoders.clip import CLIPEncoder
from ornament_lit.metrics.encoders.dino import DINOEncoder
from ornament_lit.metrics.encoders.efficientnet_lite import EfficientNetLite
from ornament_lit.metrics.encoders.inception import InceptionEncoder

__all__ = ["CLIPEncoder", "DINOEncoder", "EfficientNetLite", "FeatureEncoder", "InceptionEncoder"]
