"""What a user might give instead of a box, as the metadata say it or drawn from the true mask.

Shape legend: H = W resolution of the crop in pixels.
"""

import random
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import ConvexHull
from torch import Tensor

from ornament_lit.imaging.geometry import Points, fill_polygon

InputMask = Literal["box", "oriented_box", "convex_hull", "wearing_mask", "mixed"]
INPUT_MASKS: tuple[InputMask, ...] = ("box", "oriented_box", "convex_hull", "wearing_mask", "mixed")
MIXTURE: dict[InputMask, float] = {"box": 0.5, "wearing_mask": 0.3, "oriented_box": 0.1, "convex_hull": 0.1}
"""How often a sample of ``mixed`` input masks has which one."""


def choose_input_mask(kind: InputMask, rng: random.Random) -> InputMask:
    """The kind itself; for ``mixed`` one that is drawn by :data:`MIXTURE`."""
    return rng.choices(list(MIXTURE), list(MIXTURE.values()))[0] if kind == "mixed" else kind


def draw_input_mask(
    kind: InputMask, wearing_mask: Tensor, box_mask: Tensor, oriented_mask: Tensor | None = None
) -> Tensor:
    """Draw the region that is masked out and given to the model.

    Args:
        kind: ``box`` is the coarse box; the others are as tight as they can be: the rectangle of the smallest area in
            any direction, the convex hull, and every pixel that the ornament touches.
        wearing_mask: (1, H, W) in [0, 1], not all 0.
        box_mask: (1, H, W).
        oriented_mask: The coarse oriented box, (1, H, W), where the metadata have one: ``oriented_box`` is that, then.

    Returns:
        (1, H, W) of 0 and 1.
    """
    if kind == "box":
        return box_mask
    if kind == "oriented_box" and oriented_mask is not None:
        return oriented_mask
    touched = wearing_mask > 0
    if kind == "wearing_mask":
        return touched.to(wearing_mask.dtype)
    hull = convex_hull(touched[0].cpu().numpy())
    corners = hull if kind == "convex_hull" else oriented_box(hull)
    inside = torch.from_numpy(fill_polygon(corners, wearing_mask.shape[-2], wearing_mask.shape[-1]))[None]
    return (inside | touched).to(wearing_mask.dtype)


def convex_hull(mask: NDArray[np.bool_]) -> Points:
    """Corners of the convex hull of a mask's pixels, which have an area, as (n, 2) of x and y, in their order."""
    y, x = np.nonzero(mask)
    corners = np.concatenate([np.stack([x + dx, y + dy], axis=1) for dx in (0, 1) for dy in (0, 1)])
    return np.asarray(corners[ConvexHull(corners).vertices], dtype=np.float64)


def oriented_box(hull: Points) -> Points:
    """Rectangle of the smallest area around a convex polygon: one of its sides lies along a side of the polygon.

    Args:
        hull: Corners of the polygon, (n, 2), in their order.

    Returns:
        Its corners, (4, 2), in their order.
    """
    sides = np.roll(hull, -1, axis=0) - hull
    along = sides / np.linalg.norm(sides, axis=1, keepdims=True)
    axes = np.stack([along, np.stack([-along[:, 1], along[:, 0]], axis=1)], axis=1)
    places = np.einsum("sad,nd->san", axes, hull)
    low, high = places.min(2), places.max(2)
    best = int((high - low).prod(1).argmin())
    (u0, v0), (u1, v1) = low[best], high[best]
    return np.asarray(np.array([[u0, v0], [u1, v0], [u1, v1], [u0, v1]]) @ axes[best])
