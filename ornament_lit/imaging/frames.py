"""Coordinates of crops, of the box in one and of the ornament in the other, and affine maps between them.

Coordinates go from -1 to 1 across a crop, as :func:`torch.nn.functional.grid_sample` has them with
``align_corners=False``.

Shape legend: B batch, H, W size of a crop, K anchors.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

HALF = 0.3
SMALLEST_EXTENT = 0.05
STEEPEST = 4.0
"""Slope, in ornaments a crop, from which on neighbours are taken to show different sides of a piece."""


def pixel_grid(size: Sequence[int], like: Tensor) -> Tensor:
    """Coordinates x, y of the centres of ``size`` (height, width) pixels, (2, H, W), float32, on ``like``'s device."""
    y, x = (((torch.arange(n, device=like.device) + 0.5) / n * 2 - 1) for n in size)
    return torch.stack(torch.meshgrid(y, x, indexing="ij")[::-1])


def mask_frame(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Where a mask is.

    Args:
        mask: (B, 1, H, W) in [0, 1].

    Returns:
        Centre and half sizes of the rectangle around what is covered by more than 0.3, (B, 2) each; of the whole
        crop where nothing is.
    """
    grid = pixel_grid(mask.shape[-2:], mask)
    centres, halves = [], []
    for axis, line in ((2, grid[0, 0]), (3, grid[1, :, 0])):
        covered = mask.amax(axis)[:, 0] > HALF
        covered = covered | ~covered.any(1, keepdim=True)
        half_pixel = 1 / len(line)
        low = line.expand_as(covered).where(covered, line.new_tensor(torch.inf)).amin(1) - half_pixel
        high = line.expand_as(covered).where(covered, line.new_tensor(-torch.inf)).amax(1) + half_pixel
        centres.append((low + high) / 2)
        halves.append(((high - low) / 2).clamp(min=SMALLEST_EXTENT))
    return torch.stack(centres, 1), torch.stack(halves, 1)


def relative_grid(mask: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """Coordinates of pixels from a centre, in units of the longer half size; (B, 2, H, W)."""
    grid = pixel_grid(mask.shape[-2:], mask)
    return (grid - centre[:, :, None, None]) / half.amax(1).view(-1, 1, 1, 1)


def anchor_maps(turns: int) -> Tensor:
    """The poses that an ornament may be in, roughly: turned by multiples of 360 / ``turns`` degrees, and mirrored.

    A worn ornament is seen mirrored where the image shows its other side.

    Returns:
        (2 ``turns``, 2, 2) orthogonal maps; first those that do not mirror.
    """
    angles = torch.arange(turns) * (2 * math.pi / turns)
    turned = torch.stack(
        [torch.stack([angles.cos(), -angles.sin()], -1), torch.stack([angles.sin(), angles.cos()], -1)], -2
    )
    return torch.cat([turned, turned @ torch.diag(torch.tensor([-1.0, 1.0]))])


def apply_affine(linear: Tensor, shift: Tensor, points: Tensor) -> Tensor:
    """Map points (B, 2, H, W) by matrices (B, 2, 2) and shifts (B, 2).

    Written out, since autocast would round a matrix product, and with it the coordinates, to 16 bits.
    """
    return (linear[..., None, None] * points[:, None]).sum(2) + shift[:, :, None, None]


def mean_slopes(field: Tensor, weight: Tensor) -> Tensor:
    """How a field changes across its crop, on average.

    Slopes between neighbouring pixels, not the covariance with the whole crop: a bracelet is bent, and which way its
    bow bulges says nothing about how it is turned. Where neighbours show different sides of a piece, as at the edge of
    a bead, the field jumps: such a jump is no slope, and is left out.

    Args:
        field: (B, 2, H, W).
        weight: (B, 1, H, W), not negative.

    Returns:
        (B, 2, 2): the weighted mean of d field / d crop, rows for the field's coordinates; 0 without weight.
    """
    columns = []
    for axis in (3, 2):
        size = field.shape[axis]
        both = torch.minimum(weight.narrow(axis, 0, size - 1), weight.narrow(axis, 1, size - 1))
        slopes = field.diff(dim=axis) * (size / 2)
        both = both * (slopes.norm(dim=1, keepdim=True) < STEEPEST)
        columns.append((both * slopes).sum((2, 3)) / both.sum((2, 3)).clamp(min=1e-6))
    return torch.stack(columns, dim=2)


def anchor_chances(field: Tensor, weight: Tensor, anchors: Tensor, temperature: float = 0.05) -> Tensor:
    """How well each anchor describes a field.

    Args:
        field: u, v of each pixel, (B, 2, H, W).
        weight: How much each pixel counts, (B, 1, H, W).
        anchors: (K, 2, 2).
        temperature: How far a worse anchor falls behind, in units of the cosine between it and the field's mean slopes.

    Returns:
        (B, K), rows sum to 1; even where the weight is 0 everywhere.
    """
    slopes = mean_slopes(field, weight)
    length = slopes.flatten(1).norm(dim=1, keepdim=True).clamp(min=1e-9) * math.sqrt(2)
    cosines = (slopes[:, None] * anchors.to(slopes)).sum((2, 3)) / length
    chances: Tensor = (cosines / temperature).softmax(1)
    return chances
