"""What a warp samples: the ornament's colours, carried on beyond its mask, and lit.

Shape legend: B batch, H, W size of the ornament's image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SMALLEST = 4
SHARPNESS = 1.5
LEAST_COVERED = 1e-3


def lit(colours: Tensor, gain: Tensor) -> Tensor:
    """Colours (B, 3, H, W) in [-1, 1] under a light: times a gain (B, 3, H, W), from black on."""
    return (colours + 1) * gain - 1


def spread_colours(image: Tensor, mask: Tensor) -> Tensor:
    """Carry colours on beyond a mask, so that what is sampled a little beside the ornament is still its colour.

    Pull-push (Gortler et al., The Lumigraph, 1996): halve the image until nearly nothing is left of it, then come
    back and fill what the mask does not cover from the coarser image.

    Args:
        image: (B, 3, H, W) in [-1, 1].
        mask: (B, 1, H, W) in [0, 1].

    Returns:
        (B, 3, H, W) in [-1, 1]; equal to ``image`` where the mask covers two thirds of a pixel or more.
    """
    levels = [(image * mask, mask)]
    while min(levels[-1][1].shape[-2:]) > SMALLEST:
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    filled = _colours(*levels[-1])
    for weighted, covered in reversed(levels[:-1]):
        coarse = F.interpolate(filled, size=covered.shape[-2:], mode="bilinear", align_corners=False)
        filled = torch.lerp(coarse, _colours(weighted, covered), (covered * SHARPNESS).clamp(max=1))
    return filled


def _colours(weighted: Tensor, covered: Tensor) -> Tensor:
    return (weighted / covered.clamp(min=LEAST_COVERED)).clamp(-1, 1)


def sample_texture(texture: Tensor, uv: Tensor, padding_mode: str = "zeros") -> Tensor:
    """Look an image up at the points of a field.

    Args:
        texture: (B, C, H, W).
        uv: Points in it, (B, 2, h, w), in the coordinates of :class:`ornament_lit.batch.Correspondence`.
        padding_mode: See :func:`torch.nn.functional.grid_sample`.

    Returns:
        (B, C, h, w).
    """
    points = uv.permute(0, 2, 3, 1)
    return F.grid_sample(texture, points.to(texture.dtype), align_corners=False, padding_mode=padding_mode)
