"""Paste a generated crop back into its photograph, and touch nothing else.

What may change is the *allowed region*: the box, and with a predicted mask only what of the box is in the mask after
it was grown by ``dilation``. The generated image fades in from the border of that region inwards, over ``feather``; so
no pixel outside of it changes, and with a dilation of at least the feather the mask itself is drawn in full. A side of
the box on the border of the photograph does not fade.

Where the generated image is what the model saw of the photograph, nothing changes in any mode; alpha is never written.

Shape legend: h, w of the part of the crop in the photograph; r resolution of the generated image.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import distance_transform_edt
from torch import Tensor

from ornament_lit.imaging.geometry import Box, Crop, uncrop, visible_part
from ornament_lit.imaging.reading import STEPS_OF_16_BITS, as_rgb

Floats = NDArray[np.float32]

CELLS = 32
PRIOR_VARIANCE = 64.0


class Composite(NamedTuple):
    """A photograph with a generated image in it.

    Attributes:
        image: In mode and size of the photograph.
        mask: The feathered mask, ``L``, of the same size: the share of the generated image in 255ths. Where it is 0
            each pixel of ``image`` is bit-identical to the photograph.
    """

    image: Image.Image
    mask: Image.Image


@dataclass(frozen=True)
class PasteBack:
    """How a generated image goes back into the photograph. Lengths are fractions of the shorter side of the box.

    Args:
        feather: Width of the fading; it lies inside the allowed region.
        dilation: How far a predicted mask is grown, up to the box; negative to shrink it.
        threshold: Least value of a predicted mask that counts as ornament, in (0, 1]. It is lower than the one that
            is best for the overlap: a little more skin around an ornament is drawn as it is, but what is left out of
            a chain is missing. At 0.1, chains of a quarter of a mask's pixel are pasted; docs/measurements.md.
        match_colours: Remove a shift of the generated image's colours, see :func:`recolour`.
        max_gain: Greatest change of contrast by that, as a factor.
    """

    feather: float = 0.08
    dilation: float = 0.08
    threshold: float = 0.1
    match_colours: bool = True
    max_gain: float = 1.25

    def __post_init__(self) -> None:
        """Check the options."""
        if not 0 <= self.feather <= 0.5 or not -0.5 <= self.dilation <= 0.5:
            lengths = f"{self.feather} and {self.dilation}"
            raise ValueError(f"feather must be in [0, 0.5] and dilation in [-0.5, 0.5] of the box, got {lengths}")
        if not 0 < self.threshold <= 1 or not self.max_gain >= 1:
            values = f"{self.threshold} and {self.max_gain}"
            raise ValueError(f"threshold must be in (0, 1] and max_gain at least 1, got {values}")

    def finds(self, mask: Tensor, crop: Crop, box: Box, resolution: int) -> bool:
        """Whether a predicted mask says ornament anywhere in the box.

        Args:
            mask: (1, s, s) in [0, 1].
            crop: The crop that it belongs to.
            box: The box.
            resolution: r.
        """
        scale = resolution / crop.size
        x0, y0 = (max(0, math.floor((box[i] - crop[i]) * scale)) for i in (0, 1))
        x1, y1 = (math.ceil((box[i + 2] - crop[i]) * scale) for i in (0, 1))
        return bool(_says_ornament(mask, resolution, self.threshold)[y0:y1, x0:x1].any())

    def __call__(
        self, photograph: Image.Image, generated: Image.Image, crop: Crop, box: Box, mask: Tensor | None = None
    ) -> Composite:
        """Paste a generated image.

        Args:
            photograph: Pixels of a :class:`ornament_lit.imaging.reading.Photograph`, any of its modes.
            generated: The crop as generated, (r, r), ``RGB``.
            crop: The crop.
            box: The upright box in the photograph, which is the one around a turned box; see
                :func:`ornament_lit.imaging.geometry.check_box`.
            mask: Predicted wearing mask in the crop, (1, s, s) in [0, 1] of any s; None to paste the whole box.

        Returns:
            The image and its feathered mask. A mask without ornament changes nothing.

        Raises:
            ValueError: If the generated image is not square, the mask has another shape, or the crop is outside.
        """
        visible = visible_part(crop, *photograph.size)
        before = photograph.crop(visible)
        seen = as_rgb(before)
        new = uncrop(generated, crop, *photograph.size)
        depth = box_depth(box, visible, *photograph.size)
        if self.match_colours:
            new = recolour(new, seen, depth <= 0, self.max_gain)
        side = min(box[2] - box[0], box[3] - box[1])
        if mask is not None:
            grown = mask_depth(mask, crop, generated.width, self.threshold) + self.dilation * side
            patch = uncrop(Image.fromarray(grown), crop, *photograph.size, resample=Image.Resampling.BILINEAR)
            depth = np.minimum(depth, np.asarray(patch))
        share = fade(depth, self.feather * side)
        image, whole = photograph.copy(), Image.new("L", photograph.size)
        image.paste(blend(before, seen, new, share), visible[:2])
        whole.paste(share, visible[:2])
        return Composite(image, whole)


def box_depth(box: Box, visible: tuple[int, int, int, int], width: int, height: int) -> Floats:
    """How far the centres of pixels lie inside a box.

    Args:
        box: The box.
        visible: Which pixels, (x0, y0, x1, y1).
        width: Width of the photograph.
        height: Height of the photograph.

    Returns:
        (h, w): pixels to the nearest side, those on or beyond the photograph's border left out; at most 0 outside.
    """
    x, y = (np.arange(visible[i], visible[i + 2], dtype=np.float32) + 0.5 for i in (0, 1))
    left = x - (box[0] if box[0] > 0 else -math.inf)
    right = (box[2] if box[2] < width else math.inf) - x
    top = y - (box[1] if box[1] > 0 else -math.inf)
    bottom = (box[3] if box[3] < height else math.inf) - y
    depth: Floats = np.minimum(np.minimum(left, right), np.minimum(top, bottom)[:, None])
    return depth


def mask_depth(mask: Tensor, crop: Crop, resolution: int, threshold: float) -> Floats:
    """How far pixels lie inside a mask.

    Args:
        mask: (1, s, s) in [0, 1].
        crop: The crop that it belongs to.
        resolution: r.
        threshold: Least value inside.

    Returns:
        (r, r): distance to the border of the mask in pixels of the photograph, negative outside.

    Raises:
        ValueError: If the mask has another shape.
    """
    inside = _says_ornament(mask, resolution, threshold)
    depth = np.where(inside, _distance_to(~inside) - 0.5, 0.5 - _distance_to(inside))
    return (depth * (crop.size / resolution)).astype(np.float32)


def _says_ornament(mask: Tensor, resolution: int, threshold: float) -> NDArray[np.bool_]:
    """Where a mask, (1, s, s), is at least ``threshold``, (r, r)."""
    if mask.ndim != 3 or mask.shape[0] != 1 or mask.shape[1] != mask.shape[2]:
        raise ValueError(f"a mask must be (1, s, s), got {tuple(mask.shape)}")
    values = Image.fromarray(mask[0].detach().float().cpu().numpy())
    inside: NDArray[np.bool_] = (
        np.asarray(values.resize((resolution, resolution), Image.Resampling.BILINEAR)) >= threshold
    )
    return inside


def _distance_to(region: NDArray[np.bool_]) -> Floats:
    """(r, r): from each pixel to the nearest one of a region; beyond any distance where the region is empty."""
    if not region.any():
        return np.full(region.shape, 2 * len(region), np.float32)
    distances: Floats = distance_transform_edt(~region).astype(np.float32)
    return distances


def fade(depth: Floats, width: float) -> Image.Image:
    """Share of the image by depth in the allowed region, smoothly from 0 at its border to 255 at ``width``."""
    ramp = np.clip(depth / max(width, 1e-6), 0.0, 1.0)
    return Image.fromarray(np.rint(255 * ramp * ramp * (3 - 2 * ramp)).astype(np.uint8))


def recolour(generated: Image.Image, seen: Image.Image, ring: NDArray[np.bool_], max_gain: float) -> Image.Image:
    """Give a generated image the colours of the photograph, as measured where both show the same.

    An autoencoder shifts the colours of all that it decodes. For each channel, gain and offset are fitted by least
    squares to the means over about 32 x 32 cells of the crop, so that lost detail and noise do not count. The gain is
    drawn towards 1 (by a variance of 8 levels squared), which decides where the ring is of one colour.

    Args:
        generated: The crop as generated, (h, w), ``RGB``.
        seen: The photograph in the crop, (h, w), ``RGB``.
        ring: (h, w), where both should show the same.
        max_gain: Bound of the gain, which is kept in [1 / max_gain, max_gain].

    Returns:
        The generated image with other colours; as it is where no cell lies in the ring.
    """
    factor = max(1, max(seen.size) // CELLS)
    whole = np.asarray(Image.fromarray(np.where(ring, np.uint8(255), np.uint8(0))).reduce(factor)) == 255
    if not whole.any():
        return generated
    x = np.asarray(generated.reduce(factor))[whole].astype(np.float64)
    y = np.asarray(seen.reduce(factor))[whole].astype(np.float64)
    from_mean, to_mean = x.mean(0), y.mean(0)
    covariance = ((x - from_mean) * (y - to_mean)).mean(0) + PRIOR_VARIANCE
    gain = np.clip(covariance / (((x - from_mean) ** 2).mean(0) + PRIOR_VARIANCE), 1 / max_gain, max_gain)
    offset = to_mean - gain * from_mean
    table = np.clip(np.rint(np.arange(256) * gain[:, None] + offset[:, None]), 0, 255)
    return generated.point(table.astype(int).ravel().tolist())


def blend(before: Image.Image, seen: Image.Image, generated: Image.Image, share: Image.Image) -> Image.Image:
    """Mix a generated image into pixels of any mode of a photograph.

    Args:
        before: The pixels, (h, w).
        seen: What the model saw of them, (h, w), ``RGB``.
        generated: What it generated there, (h, w), ``RGB``.
        share: (h, w), ``L``, in 255ths.

    Returns:
        The pixels in their mode, changed where the share is above 0; alpha is kept. Of 16 bits the rest that the model
        did not see is kept.
    """
    if before.mode == "I;16":
        old, new, weight = (np.asarray(image.convert("L"), np.float32) for image in (seen, generated, share))
        mixed = np.asarray(before) + weight / 255 * (new - old) * STEPS_OF_16_BITS
        return Image.fromarray(np.clip(np.rint(mixed), 0, 65535).astype(np.uint16))
    changed = generated.convert(before.mode)
    if "A" in before.getbands():
        changed.putalpha(before.getchannel("A"))
    return Image.composite(changed, before, share)
