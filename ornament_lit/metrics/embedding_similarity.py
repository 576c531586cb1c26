"""EmbeddingSimilarity: how alike an encoder finds generated image, ground truth and reference ornament."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.encoders.base import FeatureEncoder
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.regions import ReferenceRegion, Region, ornament_views, person_views


class EmbeddingSimilarity(PerSampleMetric):
    """Cosine similarity of embeddings times 100, in two columns.

    ``NAME`` compares the generated image with the ground truth, ``NAME_reference`` with the image of the ornament. What
    the ground truth itself reaches against the ornament calibrates the second: it tells which encoder and region a
    published table used.

    Args:
        encoder: Makes the embeddings.
        name: Name of the columns.
        region: Part of generated image and ground truth that is measured.
        reference_region: Part of the image of the ornament that they are compared with.
    """

    higher_is_better = True

    def __init__(
        self,
        encoder: FeatureEncoder,
        name: str = "similarity",
        region: Region = "crop",
        reference_region: ReferenceRegion = "whole",
    ) -> None:
        super().__init__()
        self.encoder, self.name = encoder, name
        self.region: Region = region
        self.reference_region: ReferenceRegion = reference_region

    def setup(self) -> None:
        """Load the encoder."""
        self.encoder.setup()

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Compare generated images with ground truth and ornaments."""
        generated, ground_truth = (self.encoder(view) for view in person_views(batch, self.region))
        reference = self.encoder(ornament_views(batch, self.reference_region))
        column = f"{self.name}_reference"
        scores = {self.name: similarity(generated, ground_truth), column: similarity(generated, reference)}
        return Scores(scores, {column: similarity(ground_truth, reference)})

    def protocol(self) -> dict[str, Any]:
        """Encoder, its hash, and the regions."""
        regions = {"region": self.region, "reference_region": self.reference_region}
        return super().protocol() | regions | {"encoder": self.encoder.protocol()}


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Cosine similarity of the rows of two (B, D) tensors times 100, (B,) in [-100, 100]."""
    return 100 * F.cosine_similarity(first, second)
