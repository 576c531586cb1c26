"""How triangles are drawn into a depth buffer, in compiled code."""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

NEAR = 1e-2
"""Least depth of a corner that can be drawn; nearer ones lie behind the camera or in it."""


@njit(cache=True)
def rasterize(
    depths: NDArray[Any],
    corners: NDArray[Any],
    faces: NDArray[Any],
    numbers: NDArray[Any] | None = None,
    weights: NDArray[Any] | None = None,
    first: int = 0,
) -> None:
    """Draw triangles: nearest wins, depth interpolated in perspective.

    Args:
        depths: Depth of the nearest surface so far, (n, n); changed in place, as are the two below.
        corners: Columns and rows in the image, and depths, (V, 3).
        faces: The corners of each triangle, (F, 3).
        numbers: Where to note which triangle is nearest, (n, n); None where nobody asks.
        weights: Where to note the point on it, (n, n, 3), given with ``numbers``: a corner's weight in the image over
            its depth is its weight on the surface.
        first: Number of the first triangle.
    """
    size = depths.shape[0]
    for face in range(faces.shape[0]):
        a, b, c = corners[faces[face, 0]], corners[faces[face, 1]], corners[faces[face, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
        if area == 0 or min(a[2], b[2], c[2]) <= NEAR:
            continue
        left = max(int(np.ceil(min(a[0], b[0], c[0]) - 0.5)), 0)
        right = min(int(np.floor(max(a[0], b[0], c[0]) - 0.5)), size - 1)
        top = max(int(np.ceil(min(a[1], b[1], c[1]) - 0.5)), 0)
        bottom = min(int(np.floor(max(a[1], b[1], c[1]) - 0.5)), size - 1)
        for row in range(top, bottom + 1):
            y = row + 0.5
            for column in range(left, right + 1):
                x = column + 0.5
                u = ((b[0] - x) * (c[1] - y) - (b[1] - y) * (c[0] - x)) / area
                v = ((c[0] - x) * (a[1] - y) - (c[1] - y) * (a[0] - x)) / area
                w = 1 - u - v
                if u >= 0 and v >= 0 and w >= 0:
                    depth = 1 / (u / a[2] + v / b[2] + w / c[2])
                    if depth < depths[row, column]:
                        depths[row, column] = depth
                        if numbers is not None and weights is not None:
                            numbers[row, column] = first + face
                            weights[row, column, 0] = u / a[2] * depth
                            weights[row, column, 1] = v / b[2] * depth
                            weights[row, column, 2] = w / c[2] * depth
