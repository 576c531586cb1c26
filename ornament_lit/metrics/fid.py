"""FID: Fréchet distance of features."""

import numpy as np

from ornament_lit.metrics.bootstrap import Floats
from ornament_lit.metrics.distribution import DistributionMetric
from ornament_lit.metrics.encoders.base import FeatureEncoder
from ornament_lit.metrics.regions import Region


class FID(DistributionMetric):
    """Fréchet inception distance of generated images and ground truth.

    It falls as samples are added and says little below a few thousand: compare only figures of equal n, and take
    :class:`~ornament_lit.metrics.kid.KID` for small sets.

    Args:
        encoder: Makes the features; None for Inception's with weights from torch's cache or the network.
        name: Name of the column.
        region: Part of generated image and ground truth that is measured.
    """

    def __init__(self, encoder: FeatureEncoder | None = None, name: str = "fid", region: Region = "crop") -> None:
        super().__init__(encoder, name, region)

    @staticmethod
    def distance(generated: Floats, ground_truth: Floats) -> float:
        """Fréchet distance of two sets of features, (n, D) and (m, D), n and m at least 2."""
        return frechet_distance(generated, ground_truth)


def frechet_distance(first: Floats, second: Floats) -> float:
    """Fréchet distance of the normal distributions that have the means and covariances of two sets.

    The trace of the root of the product of two covariances A'A and B'B is the sum of the singular values of AB', so
    that no root of a matrix is needed, which is unstable where there are fewer samples than channels.

    Args:
        first: (n, D), n at least 2.
        second: (m, D), m at least 2.

    Returns:
        |mean - mean|^2 + tr(cov + cov - 2 (cov cov)^(1/2)), covariances with n - 1; computed in float64.
    """
    means, roots = zip(*(_mean_and_root(features) for features in (first, second)), strict=True)
    shift = float(np.square(means[0] - means[1]).sum())
    spread = sum(float(np.square(root).sum()) for root in roots)
    return shift + spread - 2 * float(np.linalg.svd(roots[0] @ roots[1].T, compute_uv=False).sum())


def _mean_and_root(features: Floats) -> tuple[Floats, Floats]:
    """Mean (D,) and a matrix A of at most D rows for which A'A is the covariance."""
    known = features.astype(np.float64)
    mean = known.mean(axis=0)
    root: Floats = (known - mean) / np.sqrt(len(known) - 1)
    if len(root) > root.shape[1]:
        root = np.linalg.qr(root).R
    return mean, root
