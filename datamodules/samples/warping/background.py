"""A person without the ornament, where there is no such photograph: smooth skin grows over it."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import maximum_filter
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from datamodules.samples.warping.cutout import not_faint

GROWTH = 0.03
LEAST_GROWTH = 2
MARGIN = 4


def without_ornament(person: Image.Image, mask: Image.Image) -> Image.Image:
    """Fill what a mask covers, and a little around it, smoothly from what lies around.

    Args:
        person: ``RGB``.
        mask: ``L``, as many pixels: whatever is not faint is covered.

    Returns:
        The person without what was covered; every other pixel is as it was.
    """
    hard = not_faint(mask)
    box = hard.getbbox()
    if box is None:
        return person
    growth = max(LEAST_GROWTH, round(GROWTH * max(box[2] - box[0], box[3] - box[1])))
    reach = growth * MARGIN
    window = (
        max(box[0] - reach, 0),
        max(box[1] - reach, 0),
        min(box[2] + reach, person.width),
        min(box[3] + reach, person.height),
    )
    covered = torch.from_numpy(_grow(np.array(hard.crop(window)), growth))[None, None].gt(0).float()
    colours = torch.from_numpy(np.array(person.crop(window))).permute(2, 0, 1)[None].float()
    filled = fill(colours, 1 - covered).round().clamp(0, 255).byte()
    result = person.copy()
    result.paste(Image.fromarray(filled[0].permute(1, 2, 0).numpy()), window[:2])
    return result


def fill(colours: Tensor, known: Tensor) -> Tensor:
    """Fill unknown pixels by pulling averages up through coarser and coarser images and pushing them down again.

    Args:
        colours: (1, 3, h, w).
        known: (1, 1, h, w): 1 for pixels that are kept, 0 for those that are filled. Where none is known, all get 0.

    Returns:
        (1, 3, h, w).
    """
    return _pull_push(torch.cat([colours * known, known], 1))


def _pull_push(weighted: Tensor) -> Tensor:
    """Colours (1, 3, h, w) of colours times weights and weights, (1, 4, h, w); those of weight 1 stay as they are."""
    height, width = weighted.shape[-2:]
    weights = weighted[:, 3:]
    means = weighted[:, :3] / weights.clamp(min=1e-6)
    if max(height, width) == 1:
        return means
    even = pad(weighted, (0, width % 2, 0, height % 2))
    coarse = interpolate(_pull_push(avg_pool2d(even, 2)), scale_factor=2.0, mode="bilinear", align_corners=False)
    return torch.lerp(coarse[..., :height, :width], means, (weights * 4).clamp(max=1))


def _grow(mask: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """Move the border of a mask (h, w) outwards by so many pixels, across and down."""
    grown: NDArray[np.uint8] = maximum_filter(mask, size=2 * by + 1)
    return grown
