"""Warp: which point of an ornament's image is seen where, as a smooth function.

Both sides have units of their own: the square around the ornament, laid flat in its image, is [-1, 1] x [-1, 1], and
so is the square into which the identity puts it on the person.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAREST = 0.4
"""Least depth under the perspective, over that of the middle: what would come nearer stays there."""

LEAST_AREA = 0.35
"""Least factor of areas, from worn to laid, over that of the matrix: below it, a piece is blown up beyond belief."""

REACH = 2.2
"""The survey of a warp covers [-REACH, REACH] x [-REACH, REACH] of worn points."""


class Warp(NamedTuple):
    """From a worn point to the laid point that is seen there: an affine map in perspective, a bend and waves.

    Shape legend: w waves.

    Attributes:
        matrix: (2, 2).
        perspective: (2,) change of depth with x and y.
        bend: (2,) by how much x grows with the square of y, and y with that of x.
        frequencies: (w, 2) phase that a wave gains with x and y.
        phases: (w,).
        amplitudes: (w, 2) by how much a wave moves x and y.
    """

    matrix: Floats
    perspective: Floats
    bend: Floats
    frequencies: Floats
    phases: Floats
    amplitudes: Floats

    @classmethod
    def affine(cls, matrix: Floats) -> Self:
        """A warp that is nothing but a (2, 2) matrix."""
        none = np.zeros(2)
        return cls(matrix, none, none, np.zeros((1, 2)), np.zeros(1), np.zeros((1, 2)))

    def __call__(self, worn: Floats) -> Floats:
        """Laid points of worn ones, both (..., 2)."""
        depth = np.maximum(1 + worn @ self.perspective, NEAREST)[..., None]
        waves = np.sin(worn @ self.frequencies.T + self.phases) @ self.amplitudes
        laid: Floats = worn @ self.matrix.T / depth + self.bend * worn[..., ::-1] ** 2 + waves
        return laid

    def gentler(self) -> Self:
        """The same warp with half the perspective, bend and waves."""
        return self._replace(perspective=self.perspective / 2, bend=self.bend / 2, amplitudes=self.amplitudes / 2)


def spread(count: int) -> float:
    """Distance of neighbours among ``count`` points over the survey."""
    return 2 * REACH / (count - 1)


def survey_points(count: int) -> Floats:
    """Worn points all over the survey, row by row: (count, count, 2)."""
    line = np.linspace(-REACH, REACH, count)
    return np.stack(np.meshgrid(line, line), axis=-1)


def folds(warp: Warp, where: NDArray[np.bool_]) -> bool:
    """Whether a warp folds the ornament, so that some of it would be seen twice, or blows some of it up.

    Args:
        warp: The warp.
        where: (n, n) which of the n x n :func:`survey_points` show the ornament.

    Returns:
        Whether the factor of areas is less than :data:`LEAST_AREA` of the matrix's own at any of them.
    """
    laid = warp(survey_points(len(where)))
    down, across = (np.asarray(np.gradient(laid, spread(len(laid)), axis=axis)) for axis in (0, 1))
    areas = across[..., 0] * down[..., 1] - across[..., 1] * down[..., 0]
    return bool((areas[where] < LEAST_AREA * np.linalg.det(warp.matrix)).any())
