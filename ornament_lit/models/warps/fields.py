"""The field that a fit begins with.

Shape legend: B batch, H, W size of the person's crop.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ornament_lit.imaging.frames import apply_affine, pixel_grid

FARTHEST = 2.0
"""From the middle of an upright ornament, in half sides of its image, beyond which a field bends no more."""


class QuadraticField(NamedTuple):
    """uv = A p + t + Q (x x, x y, y y), with p = grid + d - c, (x, y) = U p, for a displacement d in the person's crop.

    Attributes:
        linear: A, (B, 2, 2).
        shift: t, (B, 2).
        centre: c, (B, 2).
        upright: U, (B, 2, 2).
        bend: Q, (B, 2, 3).
    """

    linear: Tensor
    shift: Tensor
    centre: Tensor
    upright: Tensor
    bend: Tensor

    def at(self, displacement: Tensor) -> Tensor:
        """The field for a displacement, (B, 2, H, W)."""
        grid = pixel_grid(displacement.shape[-2:], displacement)
        points = grid + displacement - self.centre[:, :, None, None]
        x, y = apply_affine(self.upright, torch.zeros_like(self.shift), points).clamp(-FARTHEST, FARTHEST).unbind(1)
        squares = torch.stack([x * x, x * y, y * y], dim=1)
        return apply_affine(self.linear, self.shift, points) + (self.bend[..., None, None] * squares[:, None]).sum(2)

    def detach(self) -> "QuadraticField":
        """The same without gradients."""
        return QuadraticField(*(part.detach() for part in self))
