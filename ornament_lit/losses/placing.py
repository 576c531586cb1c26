"""Place apart from shape: how far beside its ground truth a field lies, and the ground truth moved there.

Where exactly in a coarse box an ornament lies, cannot be known. A field that is compared pixel by pixel answers with
the mean over all places, whose slopes are too small: the ornament is stretched over the box. Compared where it lies, it
keeps its shape.

Shape legend: B batch, C channels, H, W size of the crop.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.imaging.frames import pixel_grid

FARTHEST = 0.25
"""Greatest shift along each axis, in half sides of the crop."""
DAMPING = 1e-2
"""What is added to the squares of the slopes, so that a flat field does not move."""
COARSE = 0.95
"""Share of the box from which on an input mask tells no more than the box does."""


def shift_of(uv: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """The shift d for which uv(x) is closest to target(x + d), to first order: one step of Gauss-Newton.

    Args:
        uv: A field, (B, 2, H, W).
        target: What it should be, (B, 2, H, W).
        weight: How much each pixel counts, (B, 1, H, W), not negative.

    Returns:
        d, (B, 2), x and y in half sides of the crop; differentiable in ``uv``; 0 where no pixel counts.
    """
    slopes = _slopes(target)
    squares = torch.einsum("bcihw,bcjhw,bhw->bij", slopes, slopes, weight[:, 0])
    sides = torch.einsum("bcihw,bchw,bhw->bi", slopes, uv - target, weight[:, 0])
    total = weight.sum((1, 2, 3)).clamp(min=1.0)[:, None, None]
    damped = squares / total + DAMPING * torch.eye(2, device=uv.device)
    shift: Tensor = torch.linalg.solve(damped, sides[..., None] / total)[..., 0]
    return shift.clamp(-FARTHEST, FARTHEST)


def in_doubt(input_mask: Tensor, box_mask: Tensor) -> Tensor:
    """Whose place is in doubt: 1 where the input mask, (B, 1, H, W), is the whole box, 0 where it is finer, (B,)."""
    return (input_mask.sum((1, 2, 3)) >= COARSE * box_mask.sum((1, 2, 3))).float()


def moved(values: Tensor, shift: Tensor) -> Tensor:
    """values(x + shift), for (B, C, H, W) and (B, 2); what lies outside is as the border."""
    points = pixel_grid(values.shape[-2:], values) + shift[..., None, None]
    return F.grid_sample(values, points.permute(0, 2, 3, 1), align_corners=False, padding_mode="border")


def _slopes(field: Tensor) -> Tensor:
    """Slopes of a field (B, 2, H, W) along x and y, in half sides of the crop, (B, 2, 2, H, W)."""
    y, x = torch.gradient(field, dim=(2, 3))
    return torch.stack([x * field.shape[-1] / 2, y * field.shape[-2] / 2], dim=2)
