"""PixelRetrieval: is the generated image with the right reference nearest to the photograph, by squared error?"""

from typing import Any

import torch
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores
from ornament_lit.metrics.retrieval import FLAT, pixel_distances, retrieved


class PixelRetrieval(PerSampleMetric):
    """Share of the samples whose image is nearer to the photograph than those with other references of their type.

    The column is ``retrieval_pixels``, or ``retrieval_normalised``; chance is 1 / (references + 1). Squared error is
    averaged over the true wearing mask. Beware: it hardly tells ornaments apart, even with a perfect warp; beside it
    stand floor and ceiling, and :class:`~ornament_lit.metrics.feature_retrieval.FeatureRetrieval` sees more. Not a
    number where the mask is empty.

    Args:
        normalised: Bring each colour to mean 0 and deviation 1 inside the mask first, so that the pattern counts alone.
    """

    higher_is_better = True
    has_bounds = True
    needs_wrong_references = True

    def __init__(self, normalised: bool = False) -> None:
        super().__init__()
        self.normalised = normalised

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Compare the generated images inside the true wearing mask."""
        generated, ground_truth, mask = candidates(batch), batch["person_image"], batch["wearing_mask"]
        name = "retrieval_normalised" if self.normalised else "retrieval_pixels"
        return Scores({name: retrieved(pixel_distances(generated, ground_truth, mask, self.normalised))})

    def protocol(self) -> dict[str, Any]:
        """Colours, region, and how colours are normalised."""
        normalising = f"mean 0, deviation 1 (+ {FLAT:g})" if self.normalised else "none"
        return super().protocol() | {"colors": "RGB", "region": "wearing mask", "normalising": normalising}


def candidates(batch: GeneratedBatch) -> Tensor:
    """Images with the right reference, first, and with other ones, (K, B, 3, H, W); the ground truth outside the box.

    Features look beyond the mask: what is generated outside of the box, where the person is known, shall not count.

    Raises:
        ValueError: If the batch has no generated images with other references.
    """
    others = batch.get("wrong_references", [])
    if not others:
        raise ValueError(
            "retrieval compares generated images with several references, and the batch has no wrong_references; set "
            "retrieval_references of the report, such as --report.retrieval_references=7 --data.other_ornaments=7"
        )
    generated = torch.stack([batch["generated_image"], *(other["generated_image"] for other in others)])
    return torch.where(batch["box_mask"] > 0.5, generated, batch["person_image"])
