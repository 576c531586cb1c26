"""CLIPSimilarity: CLIP-I, how alike CLIP finds two images."""

from ornament_lit.metrics.embedding_similarity import EmbeddingSimilarity
from ornament_lit.metrics.encoders.base import Filter
from ornament_lit.metrics.encoders.clip import CLIPEncoder
from ornament_lit.metrics.regions import ReferenceRegion, Region


class CLIPSimilarity(EmbeddingSimilarity):
    """CLIP-I: cosine similarity of CLIP's image embeddings times 100, against ground truth and reference.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository, such as
            ``openai/clip-vit-base-patch32`` or ``openai/clip-vit-large-patch14``.
        name: Name of the columns; give each another one where several encoders are listed.
        region: Part of generated image and ground truth that is measured.
        reference_region: Part of the image of the ornament that they are compared with.
        image_size: Side that images are resized to, in pixels.
        resize: Filter of the resizing.
    """

    def __init__(
        self,
        path: str = "openai/clip-vit-base-patch32",
        name: str = "clip_i",
        region: Region = "crop",
        reference_region: ReferenceRegion = "whole",
        image_size: int = 224,
        resize: Filter = "bicubic",
    ) -> None:
        super().__init__(CLIPEncoder(path, image_size, resize), name, region, reference_region)
