"""The try-on pipeline: from images to images, its inputs and outputs, its folder, and how a checkpoint becomes one."""

from ornament_lit.pipeline.pipeline import OrnamentTryOnPipeline

__all__ = ["OrnamentTryOnPipeline"]
