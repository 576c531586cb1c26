"""Where a warped ornament comes to lie on a person, and where it is seen there."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from datamodules.samples.warping.cutout import Cutout, Frame, cut_out_mask
from datamodules.samples.warping.field import Floats, Warp, folds, spread, survey_points
from datamodules.samples.warping.sampling import Edge, Place
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import Box

POINTS = 48
TEXELS = 20
FAINT = 0.02
LEAST_SIZE = 12.0
HALVINGS = 8


class Survey(NamedTuple):
    """A warp looked at from afar.

    Attributes:
        warp: The warp, gentle enough not to fold.
        limit: What lies farther beyond the edge than this is hidden.
        box: Box of the part that is seen, in worn units.
    """

    warp: Warp
    limit: float
    box: Box


class Placement(NamedTuple):
    """How worn units become pixels of the person.

    Attributes:
        centre: (2,) pixels of the worn point (0, 0).
        half: Pixels of a worn unit.
        window: Whole pixels (x0, y0, x1, y1) of the person in which all of the ornament lies that is seen.
    """

    centre: Floats
    half: float
    window: tuple[int, int, int, int]


def survey(mask: Image.Image, frame: Frame, warp: Warp, edge: Edge) -> Survey:
    """See which part of the worn square a warped ornament fills.

    Args:
        mask: The ornament's mask, ``L``.
        frame: Its frame.
        warp: The warp; it is made gentler where it folds, or shows the ornament far away.
        edge: What hides the ornament.

    Raises:
        SampleError: ``empty_mask``, if nothing is seen, as of a mask of very few pixels.
    """
    worn = survey_points(POINTS)
    coarse = cut_out_mask(mask, max(1, round(2 * frame.half / TEXELS)))
    coverage = _coverage(coarse, frame, warp(worn))
    for _ in range(HALVINGS):
        if not folds(warp, coverage > FAINT) and not _at_border(coverage):
            break
        warp = warp.gentler()
        coverage = _coverage(coarse, frame, warp(worn))
    beyond = edge.beyond(worn)
    limit = _quantile(beyond, coverage, edge.visible)
    rows, columns = ((coverage > FAINT) & (beyond <= limit)).nonzero()
    if len(rows) == 0:
        raise SampleError(
            "something of an ornament must be seen, got nothing; its mask has too few pixels", "empty_mask"
        )
    (x0, y0), (x1, y1) = worn[rows.min(), columns.min()], worn[rows.max(), columns.max()]
    return Survey(warp, limit, (float(x0), float(y0), float(x1), float(y1)))


def settle(surveyed: Survey, place: Place, own: Box, width: int, height: int) -> Placement:
    """Put what is seen of an ornament near the person's own one, inside the photograph.

    Args:
        surveyed: The ornament.
        place: Where it is to be.
        own: Box of the person's own one.
        width: Width of the photograph.
        height: Its height.
    """
    low, high = np.array(surveyed.box[:2]), np.array(surveyed.box[2:])
    corners, whole = np.array(own).reshape(2, 2), np.array([width, height], dtype=np.float64)
    longer, extent = (corners[1] - corners[0]).max(), np.maximum(high - low, spread(POINTS))
    half = float(min(max(LEAST_SIZE, place.size * longer) / extent.max(), (whole / extent).min()))
    reach = half * extent / 2
    middle = (corners.mean(axis=0) + place.shift * longer).clip(reach, whole - reach)
    centre = middle - half * (low + high) / 2
    beyond = reach + half * spread(POINTS)  # a survey is coarse
    first, last = np.floor(middle - beyond).clip(0), np.ceil(middle + beyond).clip(max=whole)
    x0, y0, x1, y1 = (int(edge) for edge in (*first, *last))
    return Placement(centre, half, (x0, y0, x1, y1))


def _coverage(cutout: Cutout, frame: Frame, laid: Floats) -> Floats:
    """Coverage of the ornament at laid points (h, w, 2), (h, w)."""
    points = (frame.centre + frame.half * laid - cutout.origin) / cutout.extent * 2 - 1
    sampled = cutout.sample(torch.from_numpy(points).permute(2, 0, 1)[None].float())
    coverage: Floats = sampled[0, 0].numpy().astype(np.float64)
    return coverage


def _at_border(coverage: Floats) -> bool:
    """Whether the survey ends before the ornament does: far away, a bend may come back to it."""
    return bool(max(coverage[0].max(), coverage[-1].max(), coverage[:, 0].max(), coverage[:, -1].max()) > FAINT)


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    """The value below which a share of all weight lies; infinite for all of it."""
    if share >= 1 or not weights.any():
        return float("inf")
    order: NDArray[np.int64] = values.argsort(axis=None)
    summed = weights.ravel()[order].cumsum()
    return float(values.ravel()[order][np.searchsorted(summed, share * summed[-1])])
