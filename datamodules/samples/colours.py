"""Other colours for an ornament, the same wherever it is seen."""

import math
import random

import torch
from torch import Tensor

TINT = 0.25


def draw_colour_change(rng: random.Random) -> Tensor:
    """Draw a linear change of colours: a turn of the hue, by any angle, and a tint.

    Args:
        rng: Where the angle and the logarithms of the tint's three factors (of deviation :data:`TINT`) come from.

    Returns:
        (3, 3), to be multiplied by RGB in [0, 1] as a column. Grey keeps its lightness; only the tint colours it.
    """
    angle = rng.uniform(0, 2 * math.pi)
    tint = torch.tensor([rng.gauss(0, TINT) for _ in range(3)])
    grey = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    turn = math.cos(angle) * torch.eye(3) + (1 - math.cos(angle)) * grey + math.sin(angle) * across
    return torch.diag((tint - tint.mean()).exp()) @ turn


def change_colours(image: Tensor, mask: Tensor, change: Tensor) -> Tensor:
    """Change the colours of an image inside a mask.

    Args:
        image: (3, H, W) in [-1, 1].
        mask: (1, H, W) in [0, 1].
        change: (3, 3), as :func:`draw_colour_change` draws it.

    Returns:
        (3, H, W) in [-1, 1].
    """
    changed = torch.einsum("ij,jhw->ihw", change, (image + 1) / 2).clamp(0, 1) * 2 - 1
    return torch.lerp(image, changed, mask)
