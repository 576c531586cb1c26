"""FeatureRetrieval: is the generated image with the right reference nearest to the photograph, by features?"""

from typing import Any

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.encoders.efficientnet_lite import EfficientNetLite
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.pixel_retrieval import candidates
from ornament_lit.metrics.retrieval import feature_distances, retrieved


class FeatureRetrieval(PerSampleMetric):
    """Share of the samples whose image is nearer to the photograph than those with other references of their type.

    The column is ``retrieval_features``; chance is 1 / (references + 1). Distances are those of
    :func:`~ornament_lit.metrics.retrieval.feature_distances`, over the true wearing mask: features of a network that
    was trained on photographs tell ornaments apart where pixels do not. It needs the extra ``retrieval``. Not a number
    where the mask is empty.
    """

    higher_is_better = True
    has_bounds = True
    needs_wrong_references = True

    def __init__(self) -> None:
        super().__init__()
        self._encoder = EfficientNetLite()

    def setup(self) -> None:
        """Load the network.

        Raises:
            FileNotFoundError: If the extra is not installed.
        """
        self._encoder.setup()

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Compare the generated images inside the true wearing mask."""
        generated, ground_truth, mask = candidates(batch), batch["person_image"], batch["wearing_mask"]
        return Scores(
            {"retrieval_features": retrieved(feature_distances(self._encoder, generated, ground_truth, mask))}
        )

    def protocol(self) -> dict[str, Any]:
        """Network, depths, its hash and region."""
        return super().protocol() | self._encoder.protocol() | {"region": "wearing mask"}
