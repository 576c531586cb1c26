"""ComponentCountError: whether a generated ornament has as many beads, stones or links as the true one."""

import math
from typing import Any

import numpy as np
from torch import Tensor

from ornament_lit.metrics.base import GeneratedBatch
from ornament_lit.metrics.bootstrap import Floats
from ornament_lit.metrics.bulges import Mask, count_bulges, fit_finder
from ornament_lit.metrics.per_sample import PerSampleMetric, Scores


class ComponentCountError(PerSampleMetric):
    """Relative error of the number of parts, counted as bulges of the ornament's shape in the generated image.

    Which pixels are ornament is told by their colours, learned from the ground truth and its mask for each sample; the
    same is done to generated image and ground truth, so that the counter's own faults fall on both. Columns:

    - ``count_error``: how far the number in the generated image is from that in the ground truth, as a share of the
      latter, both counted. This is the figure to compare.
    - ``count_error_known``: how far it is from the known number (``components``), as a share of that. Its value for the
      ground truth is the counter's own error: parts that are hidden, too small, or have no necks between them.

    Not a number for ornaments of few parts, where a count says nothing, and where the mask has too few pixels.

    On rendered images of 128 px (ground truth only) the counter ranks strands of beads, pearls and stones like their
    known number of visible parts (rank correlation 0.80; 0.73 at 64 px), other ornaments poorly (0.51 over all), and
    finds about half of the known parts, since many are hidden or smaller than 3 px. So read it for strands, compare
    ``count_error`` between models, and take no value of it for a number of parts.

    Args:
        fewest: Samples with a smaller number of parts (the known one, else that counted in the ground truth) are left
            out.

    Raises:
        ValueError: If ``fewest`` is below 1.
    """

    higher_is_better = False

    def __init__(self, fewest: int = 6) -> None:
        super().__init__()
        if fewest < 1:
            raise ValueError(f"fewest must be 1 or more, got {fewest}")
        self.fewest = fewest

    def measure(self, batch: GeneratedBatch) -> Scores:
        """Count in generated images and ground truth."""
        known = batch["components"].tolist() if "components" in batch else [-1] * len(batch["key"])
        images = [_arrays(entry) for entry in (batch["generated_image"], batch["person_image"], batch["wearing_mask"])]
        errors = [
            self._errors(_counts(generated, ground_truth, mask[..., 0] > 0.5), number)
            for generated, ground_truth, mask, number in zip(*images, known, strict=True)
        ]
        relative, of_known, ground_truth_of_known = batch["generated_image"].new_tensor(errors).T
        columns = {"count_error": relative, "count_error_known": of_known}
        return Scores(columns, {"count_error_known": ground_truth_of_known})

    def protocol(self) -> dict[str, Any]:
        """The counter and who is left out."""
        counter = "bulges of the region of ornament colours"
        return super().protocol() | {"counter": counter, "fewest": self.fewest, "region": "crop"}

    def _errors(self, counts: tuple[int, int] | None, known: int) -> tuple[float, float, float]:
        """Errors of the generated image against both numbers, and of the ground truth against the known one."""
        generated, ground_truth = counts or (0, 0)
        if counts is None or (known if known >= 0 else ground_truth) < self.fewest:
            return math.nan, math.nan, math.nan
        of_known = (_relative(generated, known), _relative(ground_truth, known)) if known >= 0 else (math.nan, math.nan)
        return _relative(generated, ground_truth), *of_known


def _counts(generated: Floats, ground_truth: Floats, mask: Mask) -> tuple[int, int] | None:
    """Parts in generated image and ground truth; None where the ornament's colours cannot be learned."""
    finder = fit_finder(ground_truth, mask)
    return None if finder is None else (count_bulges(finder.find(generated)), count_bulges(finder.find(ground_truth)))


def _arrays(images: Tensor) -> Floats:
    """Images (B, c, H, W) as (B, H, W, c) of float64."""
    return images.permute(0, 2, 3, 1).cpu().numpy().astype(np.float64)


def _relative(count: int, expected: int) -> float:
    return abs(count - expected) / max(expected, 1)
