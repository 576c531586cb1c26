"""Carrying a field on beyond where it is known.

Shape legend: B batch, H, W size of the window.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.imaging.frames import pixel_grid

WINDOWS = ((9 / 64, 4e-3, 1e-3), (3 / 64, 1.5e-3, 1e-2))
"""Of each window, from wide to narrow: its deviation over the side of the image, how strongly its slopes are drawn
to the wider window's, and how much known area it needs to be trusted half."""
GLOBAL_RIDGE = 0.01
LIMIT = 2.0


class _Moments(NamedTuple):
    """Weighted means: of 1, of coordinates, of their products, of the field and of its products with them."""

    one: Tensor
    point: Tensor
    square: Tensor
    value: Tensor
    cross: Tensor


def extend_field(uv: Tensor, weight: Tensor) -> Tensor:
    """Carry a field on smoothly beyond where it is known, so that it can be taught there, too.

    Local linear regression under Gaussian windows (Cleveland, 1979): where a narrow window knows enough, it decides;
    elsewhere a wider one, and far away the affine map of the whole. Slopes are drawn towards those of the next wider
    window, and those of the whole towards a similarity, as an ornament is nearly rigid.

    Args:
        uv: The field, (B, 2, H, W).
        weight: How far it is known, (B, 1, H, W), not negative. A row of zeros gives a constant field.

    Returns:
        (B, 2, H, W) in [-2, 2].
    """
    grid = pixel_grid(uv.shape[-2:], uv).expand_as(uv)
    products = _products(uv, weight, grid)
    whole = _means(products.mean((2, 3), keepdim=True))
    extended, slopes = _regress(whole, grid, GLOBAL_RIDGE, _similarity(whole))
    for deviation, ridge, needed in WINDOWS:
        near = gaussian_window(products, deviation * uv.shape[-1])
        local, slopes = _regress(_means(near), grid, ridge, slopes)
        extended = torch.lerp(extended, local, near[:, :1] / (near[:, :1] + needed))
    return extended.clamp(-LIMIT, LIMIT)


def _products(uv: Tensor, weight: Tensor, grid: Tensor) -> Tensor:
    """What windows average, (B, 13, H, W)."""
    squares = (grid[:, :, None] * grid[:, None]).flatten(1, 2)
    crosses = (uv[:, :, None] * grid[:, None]).flatten(1, 2)
    return weight * torch.cat([torch.ones_like(weight), grid, squares, uv, crosses], dim=1)


def _means(products: Tensor) -> _Moments:
    known = products[:, :1].clamp(min=1e-6)
    point, square, value, cross = (products[:, 1:] / known).split([2, 4, 2, 4], dim=1)
    return _Moments(known, point, square.unflatten(1, (2, 2)), value, cross.unflatten(1, (2, 2)))


def _regress(means: _Moments, grid: Tensor, ridge: float, prior: Tensor) -> tuple[Tensor, Tensor]:
    """Values of the linear fits of windows at their own places, and their slopes, (B, 2, 2, H, W)."""
    spread = means.square - _outer(means.point, means.point) + ridge * _eye(means.square)
    cross = means.cross - _outer(means.value, means.point) + ridge * prior
    slopes = torch.einsum("bijhw,bjkhw->bikhw", cross, _inverse(spread))
    return means.value + torch.einsum("bijhw,bjhw->bihw", slopes, grid - means.point), slopes


def _similarity(whole: _Moments) -> Tensor:
    """Slopes of the similarity, mirrored or not, that fits the whole best, (B, 2, 2, 1, 1)."""
    cross = (whole.cross - _outer(whole.value, whole.point))[..., 0, 0]
    spread = (whole.square - _outer(whole.point, whole.point))[..., 0, 0]
    trace = spread.diagonal(dim1=1, dim2=2).sum(-1).clamp(min=1e-4)
    (ux, uy), (vx, vy) = cross.permute(1, 2, 0)
    turned = torch.stack([ux + vy, uy - vx, vx - uy, ux + vy], -1)
    mirrored = torch.stack([ux - vy, uy + vx, uy + vx, vy - ux], -1)
    best = torch.where((turned.square().sum(-1) >= mirrored.square().sum(-1))[:, None], turned, mirrored)
    return (best / trace[:, None]).view(-1, 2, 2, 1, 1)


def _outer(one: Tensor, other: Tensor) -> Tensor:
    return one[:, :, None] * other[:, None]


def _eye(like: Tensor) -> Tensor:
    return torch.eye(2, device=like.device, dtype=like.dtype).view(1, 2, 2, 1, 1)


def _inverse(matrix: Tensor) -> Tensor:
    """Inverses of symmetric positive (B, 2, 2, H, W) matrices."""
    (a, b), (c, d) = matrix.permute(1, 2, 0, 3, 4)
    inverse = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1)
    determinant: Tensor = (a * d - b * c).clamp(min=1e-9)
    return inverse / determinant[:, None, None]


def gaussian_window(image: Tensor, deviation: float) -> Tensor:
    """Average under a Gaussian window, cut off at three deviations; zeros lie outside of the image.

    Args:
        image: (B, C, H, W).
        deviation: In pixels.

    Returns:
        (B, C, H, W).
    """
    reach = torch.arange(-int(3 * deviation), int(3 * deviation) + 1, device=image.device)
    kernel = torch.exp(-(reach**2) / (2 * deviation**2))
    kernel = (kernel / kernel.sum()).to(image.dtype)
    channels, half = image.shape[1], len(kernel) // 2
    columns = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    image = F.conv2d(image, columns, padding=(half, 0), groups=channels)
    return F.conv2d(image, columns.transpose(2, 3), padding=(0, half), groups=channels)
