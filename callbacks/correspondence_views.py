"""Images of a correspondence: the warped ornament, and where each pixel comes from.

Shape legend: B batch, H = W side of the images.
"""

import torch
from torch import Tensor

from ornament_lit.metrics.bounds import warped

DARKEST = 0.25
TURN = 0.85
COLUMNS = ("warp", "mask", "comes from", "there")


def correspondence_views(points: Tensor, mask: Tensor, ornament: Tensor, ornament_mask: Tensor) -> list[Tensor]:
    """Show a correspondence.

    Args:
        points: For each pixel the point of the ornament's image that it shows, (B, 2, H, W) in [-1, 1].
        mask: Where the ornament is worn, (B, 1, H, W) in [0, 1].
        ornament: The ornament's image, (B, 3, H, W) in [-1, 1].
        ornament_mask: Where the ornament is in it, (B, 1, H, W) in [0, 1].

    Returns:
        Four images, (B, 3, H, W) in [-1, 1], of the names in :data:`COLUMNS`: the ornament's image sampled at the
        points; the mask; inside the mask the colour of each point; and the ornament's image in these colours. Equal
        colours belong together.
    """
    points = points.float()
    here = point_colours(points) * mask
    light = (ornament + 1) / 2
    shade = 0.4 + 0.6 * light.mean(1, keepdim=True)
    there = point_colours(grid_points(ornament)) * shade * ornament_mask
    return [warped(ornament, ornament_mask, points), *(2 * view - 1 for view in (mask.expand_as(here), here, there))]


def grid_points(images: Tensor) -> Tensor:
    """The point that each pixel of images (B, 3, H, W) is at, (B, 2, H, W) in [-1, 1]."""
    rows, columns = ((torch.arange(size, device=images.device) * 2 + 1) / size - 1 for size in images.shape[-2:])
    x, y = torch.meshgrid(columns, rows, indexing="xy")
    return torch.stack([x, y]).expand(len(images), -1, -1, -1)


def point_colours(points: Tensor) -> Tensor:
    """Colours of points: from left to right the hue turns from red to violet, downwards it gets darker.

    Args:
        points: (B, 2, H, W) in [-1, 1]; what is outside has the colour of the border.

    Returns:
        (B, 3, H, W) in [0, 1].
    """
    places = ((points + 1) / 2).clamp(0, 1)
    u, v = places[:, :1], places[:, 1:]
    offsets = torch.tensor([5.0, 3.0, 1.0], device=points.device).view(1, 3, 1, 1)
    sixth = (offsets + 6 * TURN * u) % 6  # hue to RGB by its six edges, as colorsys does
    pure = 1 - torch.minimum(sixth, 4 - sixth).clamp(0, 1)
    return pure * (1 - (1 - DARKEST) * v)
