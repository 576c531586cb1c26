"""KID: kernel distance of features."""

import numpy as np

from ornament_lit.metrics.bootstrap import Floats
from ornament_lit.metrics.distribution import DistributionMetric
from ornament_lit.metrics.encoders.base import FeatureEncoder
from ornament_lit.metrics.regions import Region

SCALE = 1000.0
BLOCK = 1024


class KID(DistributionMetric):
    """Kernel inception distance of generated images and ground truth, times 1000. Its expectation does not depend on n.

    Args:
        encoder: Makes the features; None for Inception's with weights from torch's cache or the network.
        name: Name of the column.
        region: Part of generated image and ground truth that is measured.
    """

    def __init__(self, encoder: FeatureEncoder | None = None, name: str = "kid", region: Region = "crop") -> None:
        super().__init__(encoder, name, region)

    @staticmethod
    def distance(generated: Floats, ground_truth: Floats) -> float:
        """Kernel distance times 1000 of two sets of features, (n, D) and (m, D), n and m at least 2."""
        return SCALE * kernel_distance(generated, ground_truth)


def kernel_distance(first: Floats, second: Floats) -> float:
    """Unbiased squared maximum mean discrepancy with the kernel (x.y / D + 1)^3.

    All pairs are taken at once, where other programs average over random subsets: the expectation is the same, the
    variance smaller, and no chance is left.

    Args:
        first: (n, D), n at least 2.
        second: (m, D), m at least 2.

    Returns:
        The discrepancy, computed in float64; it may fall below 0.
    """
    ours, theirs = (features.astype(np.float64) for features in (first, second))
    within = sum((_kernel_sum(x, x) - _diagonal_sum(x)) / (len(x) * (len(x) - 1)) for x in (ours, theirs))
    return float(within - 2 * _kernel_sum(ours, theirs) / (len(ours) * len(theirs)))


def _kernel_sum(first: Floats, second: Floats) -> float:
    """Sum of the kernel over all pairs, some rows at a time to bound the memory."""
    blocks = (first[start : start + BLOCK] for start in range(0, len(first), BLOCK))
    return sum(float(((block @ second.T / first.shape[1] + 1) ** 3).sum()) for block in blocks)


def _diagonal_sum(features: Floats) -> float:
    return float(((np.square(features).sum(axis=1) / features.shape[1] + 1) ** 3).sum())
