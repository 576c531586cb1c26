"""Count the parts of an ornament as bulges of its shape: beads, stones or links with necks between them.

Shape legend: h, w size of the image.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ornament_lit.metrics.bootstrap import Floats

Mask = NDArray[np.bool_]

REFERENCE_SIZE = 128  # the distances below are pixels of an image of this size
NEAR, RING = 2, 7
FEWEST_PIXELS = 20
RIDGE = 1e-4  # added to the variances of colours, so that a single colour has a density too


class Colors(NamedTuple):
    """Normal distribution of colours."""

    mean: Floats
    precision: Floats
    log_determinant: float

    def log_density(self, image: Floats) -> Floats:
        """Logarithm of the density at each pixel of (h, w, 3), up to a constant, (h, w)."""
        deviation = image - self.mean
        distance = np.einsum("...i,ij,...j", deviation, self.precision, deviation)
        return np.asarray(-0.5 * (distance - self.log_determinant))


class OrnamentFinder(NamedTuple):
    """Tells which pixels around an ornament have its colours rather than those of what is around it.

    Attributes:
        ornament: Colours in the true mask.
        surroundings: Colours in a ring around it.
        near: Pixels that may be ornament: the true mask and a narrow rim, (h, w).
    """

    ornament: Colors
    surroundings: Colors
    near: Mask

    def find(self, image: Floats) -> Mask:
        """Pixels of the ornament in an image (h, w, 3) that shows the same scene, (h, w)."""
        likely = self.ornament.log_density(image) > self.surroundings.log_density(image)
        return np.asarray(likely & self.near)


def fit_finder(image: Floats, mask: Mask) -> OrnamentFinder | None:
    """Learn the colours of an ornament and of its surroundings.

    Args:
        image: Ground truth, (h, w, 3).
        mask: True mask of the ornament in it, (h, w).

    Returns:
        The finder, or None where either has too few pixels.
    """
    from scipy.ndimage import distance_transform_edt

    scale = max(mask.shape) / REFERENCE_SIZE
    distance = distance_transform_edt(~mask) if mask.any() else np.full(mask.shape, np.inf)
    ring = (distance > NEAR * scale) & (distance <= RING * scale)
    if min(mask.sum(), ring.sum()) < FEWEST_PIXELS:
        return None
    return OrnamentFinder(_colors(image[mask]), _colors(image[ring]), distance <= NEAR * scale)


def count_bulges(mask: Mask) -> int:
    """Count the thick places of a shape that necks separate; 0 for an empty one.

    A bulge is a place whose distance to the edge is the largest within about the usual thickness of the shape.

    Args:
        mask: (h, w).
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter, label, maximum_filter

    depth = gaussian_filter(distance_transform_edt(np.pad(mask, 1)), 0.7)
    inside = depth > 0.5
    if not inside.any():
        return 0
    window = max(3, 2 * round(float(np.median(depth[inside]))) + 1)
    peaks = (maximum_filter(depth, window) == depth) & inside
    return int(label(peaks, np.ones((3, 3)))[1])  # neighbours that are equally deep are one peak


def _colors(pixels: NDArray[Any]) -> Colors:
    covariance = np.cov(pixels.T) + RIDGE * np.eye(3)
    return Colors(pixels.mean(axis=0), np.linalg.inv(covariance), -float(np.linalg.slogdet(covariance)[1]))
