"""Draw a placed ornament: its colours, its coverage and which point of its image is seen, pixel by pixel."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from datamodules.samples.warping.cutout import Cutout, Frame
from datamodules.samples.warping.field import Floats
from datamodules.samples.warping.placing import Placement, Survey
from datamodules.samples.warping.sampling import Edge, Light

NODES = 33
FINE = 2
BAND = 64
"""Fine rows that are drawn at a time, so that what is in between stays in the processor's cache."""


class Drawn(NamedTuple):
    """An ornament as it is seen in a window of h x w pixels.

    Attributes:
        colours: (h, w, 3) times coverage, in [0, 1].
        coverage: (h, w) in [0, 1].
        points: (h, w, 2) point of the ornament's image that is seen, in pixels of it: the mean over what is covered,
            0 where nothing is.
    """

    colours: NDArray[np.float32]
    coverage: NDArray[np.float32]
    points: NDArray[np.float32]


def draw(cutout: Cutout, frame: Frame, surveyed: Survey, edge: Edge, light: Light, placement: Placement) -> Drawn:
    """Draw an ornament in the window of its placement.

    Warp and edge are smooth: they are computed at the nodes of a lattice, and what is between the nodes is between
    their values. Colours and points are taken from one and the same field, at 2 x 2 places of each pixel.
    """
    field = _between(_nodes(cutout, frame, surveyed, edge, placement), placement)
    bands = [_means(cutout, band) for band in field.split(BAND, dim=2)]
    means = torch.cat(bands, dim=2)[0].permute(1, 2, 0).numpy()
    coverage = np.rint(means[..., 3] * 255) / np.float32(255)
    scaled = means[..., 4:] / np.maximum(means[..., 3:4], 1e-6)
    points = ((scaled + 1) / 2 * cutout.extent + cutout.origin) * (coverage > 0)[..., None]
    colours = np.minimum(means[..., :3] * _light(light, placement), means[..., 3:4])
    return Drawn(colours.astype(np.float32), coverage, points.astype(np.float32))


def _nodes(cutout: Cutout, frame: Frame, surveyed: Survey, edge: Edge, placement: Placement) -> Tensor:
    """Points for :meth:`Cutout.sample` and by how many quarter pixels they are seen, at the nodes (1, 3, n, n)."""
    x0, y0, x1, y1 = placement.window
    inset = 0.5 / FINE
    columns, rows = (np.linspace(low + inset, high - inset, NODES) for low, high in ((x0, x1), (y0, y1)))
    worn = (np.stack(np.meshgrid(columns, rows), axis=-1) - placement.centre) / placement.half
    laid = frame.centre + frame.half * surveyed.warp(worn)
    points = (laid - cutout.origin) / cutout.extent * 2 - 1
    inside = (surveyed.limit - edge.beyond(worn)) * placement.half * FINE
    nodes = np.concatenate([points, np.minimum(inside, 1e6)[..., None]], axis=-1)
    return torch.from_numpy(nodes.astype(np.float32)).permute(2, 0, 1)[None]


def _between(nodes: Tensor, placement: Placement) -> Tensor:
    """Values (1, 3, 2 h, 2 w) at the fine places of a window, of those at the nodes."""
    x0, y0, x1, y1 = placement.window
    size = (FINE * (y1 - y0), FINE * (x1 - x0))
    return interpolate(nodes, size=size, mode="bilinear", align_corners=True)


def _means(cutout: Cutout, field: Tensor) -> Tensor:
    """Colours, coverage and points times coverage, the means of pixels, (1, 6, h, w), of a field (1, 3, 2 h, 2 w)."""
    sampled = cutout.sample(field[:, :2]) * (field[:, 2:] + 0.5).clamp(0, 1)
    values = torch.cat([sampled, field[:, :2] * sampled[:, 3:]], 1)
    rows = values[..., ::FINE, :] + values[..., 1::FINE, :]
    return (rows[..., ::FINE] + rows[..., 1::FINE]) / FINE**2


def _light(light: Light, placement: Placement) -> NDArray[np.float32]:
    """Factor of each channel at the pixels of a window, (h, w, 3), not below 0."""
    x0, y0, x1, y1 = placement.window
    across, down = ((np.arange(low, high) + 0.5) for low, high in ((x0, x1), (y0, y1)))
    slope: Floats = light.slope / placement.half
    lit = 1 + (across - placement.centre[0]) * slope[0] + ((down - placement.centre[1]) * slope[1])[:, None]
    factors: NDArray[np.float32] = (lit.astype(np.float32)[..., None] * light.gain.astype(np.float32)).clip(min=0)
    return factors
