"""DINOSimilarity: DINO-I, how alike DINO finds two images."""

from ornament_lit.metrics.embedding_similarity import EmbeddingSimilarity
from ornament_lit.metrics.encoders.base import Filter
from ornament_lit.metrics.encoders.dino import DINOEncoder
from ornament_lit.metrics.regions import ReferenceRegion, Region


class DINOSimilarity(EmbeddingSimilarity):
    """DINO-I: cosine similarity of DINO's class tokens times 100, against ground truth and reference.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository, such as
            ``facebook/dino-vits16`` or ``facebook/dinov2-base``.
        name: Name of the columns; give each another one where several encoders are listed.
        region: Part of generated image and ground truth that is measured.
        reference_region: Part of the image of the ornament that they are compared with.
        image_size: Side that images are resized to, in pixels.
        resize: Filter of the resizing.
    """

    def __init__(
        self,
        path: str = "facebook/dino-vits16",
        name: str = "dino_i",
        region: Region = "crop",
        reference_region: ReferenceRegion = "whole",
        image_size: int = 224,
        resize: Filter = "bicubic",
    ) -> None:
        super().__init__(DINOEncoder(path, image_size, resize), name, region, reference_region)
