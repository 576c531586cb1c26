"""Metrics: what generated images are measured by, one a file. Weights are loaded by ``setup`` or the first update."""

from ornament_lit.metrics.base import GeneratedBatch, GeneratedImage, TryOnMetric
from ornament_lit.metrics.boundary_f import BoundaryF
from ornament_lit.metrics.clip_similarity import CLIPSimilarity
from ornament_lit.metrics.colour_error import ColourError
from ornament_lit.metrics.component_count_error import ComponentCountError
from ornament_lit.metrics.correspondence_error import CorrespondenceError
from ornament_lit.metrics.dino_similarity import DINOSimilarity
from ornament_lit.metrics.embedding_similarity import EmbeddingSimilarity
from ornament_lit.metrics.feature_retrieval import FeatureRetrieval
from ornament_lit.metrics.fid import FID
from ornament_lit.metrics.kid import KID
from ornament_lit.metrics.lpips import LPIPS
from ornament_lit.metrics.mask_iou import MaskIoU
from ornament_lit.metrics.pck import PCK
from ornament_lit.metrics.pixel_retrieval import PixelRetrieval
from ornament_lit.metrics.psnr import PSNR
from ornament_lit.metrics.ssim import SSIM
from ornament_lit.metrics.wearing_mask_iou import WearingMaskIoU
from ornament_lit.metrics.wrong_reference_gap import WrongReferenceGap

__all__ = [
    "FID",
    "KID",
    "LPIPS",
    "PCK",
    "PSNR",
    "SSIM",
    "BoundaryF",
    "CLIPSimilarity",
    "ColourError",
    "ComponentCountError",
    "CorrespondenceError",
    "DINOSimilarity",
    "EmbeddingSimilarity",
    "FeatureRetrieval",
    "GeneratedBatch",
    "GeneratedImage",
    "MaskIoU",
    "PixelRetrieval",
    "TryOnMetric",
    "WearingMaskIoU",
    "WrongReferenceGap",
]
