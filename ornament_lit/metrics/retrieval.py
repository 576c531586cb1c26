"""Retrieval: is the image with the right reference the nearest to the photograph, among those with other ones?

Shape legend: K references of which the first is the right one, B batch, H = W side of the images.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.metrics.encoders.efficientnet_lite import EfficientNetLite

TIE = 1e-5
FLAT = 0.03


class Retrieval(NamedTuple):
    """Whether the right reference was retrieved, (B,) in [0, 1]: by features, pixels, colour-normalised pixels."""

    features: Tensor
    pixels: Tensor
    normalised: Tensor


def retrieval(
    generated: Tensor, ground_truth: Tensor, mask: Tensor, encoder: EfficientNetLite | None = None
) -> Retrieval:
    """Retrieve the right reference of each sample in all three ways.

    Args:
        generated: The same persons with K references, (K, B, 3, H, W) in [-1, 1]; the right reference comes first.
        ground_truth: The photographs, (B, 3, H, W) in [-1, 1].
        mask: Where the ornament is worn in ``ground truth``, (B, 1, H, W) in [0, 1]: only there is compared.
        encoder: For the features; None for a new one.

    Returns:
        1 where the generated image with the right reference is the nearest, 0 where it is not; generated images that
        are equally near share, so that K equal ones give 1 / K. Not a number where the mask is empty.

    Raises:
        FileNotFoundError: If the extra ``retrieval`` is not installed.
    """
    by_features = feature_distances(encoder or EfficientNetLite(), generated, ground_truth, mask)
    by_pixels = [pixel_distances(generated, ground_truth, mask, normalised) for normalised in (False, True)]
    return Retrieval(*(retrieved(distances) for distances in (by_features, *by_pixels)))


def retrieved(distances: Tensor) -> Tensor:
    """Whether the first distance is the smallest.

    Args:
        distances: (K, B).

    Returns:
        (B,): 1, 0, or the share 1 / n where it is one of n that are equal; not a number where a distance is not.
    """
    nearest = distances <= distances.min(0).values * (1 + TIE)
    share = nearest[0] / nearest.sum(0).clamp(min=1)
    return torch.where(distances.isnan().any(0), torch.nan, share)


def feature_distances(encoder: EfficientNetLite, generated: Tensor, ground_truth: Tensor, mask: Tensor) -> Tensor:
    """Distance to the ground truth by features, as LPIPS (arXiv 1801.03924) has it, without its learned weights.

    At each depth the squared difference of unit vectors is averaged over the mask, shrunk to that depth by its area;
    the depths count the same.

    Args:
        encoder: Gives the features.
        generated: (K, B, 3, H, W) in [-1, 1].
        ground_truth: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in [0, 1].

    Returns:
        (K, B) in [0, 4].
    """
    expected = encoder.maps(ground_truth)
    return torch.stack([_feature_distance(encoder.maps(one), expected, mask) for one in generated])


def pixel_distances(generated: Tensor, ground_truth: Tensor, mask: Tensor, normalised: bool = False) -> Tensor:
    """Mean squared difference of generated images and ground truth over a mask.

    Args:
        generated: (K, B, 3, H, W) in [-1, 1].
        ground_truth: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in [0, 1].
        normalised: Bring each colour to mean 0 and deviation 1 inside the mask first, so that the pattern counts
            alone, and neither tint nor contrast. A deviation well below 0.03 stays small: there is no pattern.

    Returns:
        (K, B).
    """
    expected = normalise_colours(ground_truth, mask) if normalised else ground_truth
    found = [normalise_colours(one, mask) if normalised else one for one in generated]
    return torch.stack([_average((one - expected).square().mean(1, keepdim=True), mask) for one in found])


def normalise_colours(images: Tensor, mask: Tensor) -> Tensor:
    """Bring each colour of images (B, 3, H, W) to mean 0 and deviation 1 inside masks (B, 1, H, W)."""
    weights = mask / mask.sum((2, 3), keepdim=True)
    centred = images - (images * weights).sum((2, 3), keepdim=True)
    deviation = (centred.square() * weights).sum((2, 3), keepdim=True).sqrt()
    return centred / (deviation + FLAT)


def _feature_distance(found: list[Tensor], expected: list[Tensor], mask: Tensor) -> Tensor:
    pairs = zip(found, expected, strict=True)
    depths = [_average((one - other).square().sum(1, keepdim=True), mask) for one, other in pairs]
    return torch.stack(depths).mean(0)


def _average(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of (B, 1, h, w) values over masks (B, 1, H, W) shrunk to that size, (B,)."""
    weights = F.interpolate(mask, size=values.shape[-2:], mode="area")
    return (values * weights).flatten(1).sum(1) / weights.flatten(1).sum(1)
