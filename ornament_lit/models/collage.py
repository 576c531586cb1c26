"""The collage of AnyDoor (Chen et al., 2024, arXiv 2307.09481): details of the ornament, pasted where it is to be worn.

Shape legend: B batch, H, W size of an image, S side of a detail map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SIDE = 256
"""S: details are looked for at this size, whatever that of the image, so that pixels and thresholds mean the same."""

WHITE = 255.0
HALF = 0.5
SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def detail_map(image: Tensor, mask: Tensor, erosion: int = 4, threshold: float = 50.0) -> Tensor:
    """Keep of an ornament what is fine and rich in contrast, dimmed by how weak the contrast is; all else is black.

    Image and mask are resized to 256 pixels (bilinear) first. The contrast of a pixel is the mean of the absolute
    horizontal and vertical Sobel derivatives of 3x3 pixels, each cut at 255 on the scale from 0 for black to 255 for
    white, of the colour where it is largest. Its picture from 0 to 1, times contrast / 255, is the map.

    Args:
        image: The ornament's own image, (B, 3, H, W) in [-1, 1].
        mask: Where the ornament is in it, (B, 1, H, W) in [0, 1]; half a pixel or more counts.
        erosion: Pixels, of 256 along a side, that are taken off the mask along its outline, in a square around each
            pixel; the border of the image is no outline. 0 for none. At 4, lines up to 8 pixels wide are gone.
        threshold: Contrast from 0 to 255 below which a pixel is black.

    Returns:
        (B, 3, 256, 256) in [-1, 1] in the image's dtype, without gradient; -1, black, everywhere where nothing is left
        of the mask.

    Raises:
        ValueError: If ``erosion`` is negative.
    """
    if erosion < 0:
        raise ValueError(f"erosion is a number of pixels, 0 or more, got {erosion}; take 0 to leave the mask as it is")
    picture = (_resize(image) + 1) / 2
    inside = _erode(_resize(mask) >= HALF, erosion)
    strength = _contrast(picture * WHITE)
    strength = strength.where(inside & (strength >= threshold), 0.0) / WHITE
    return (picture * strength * 2 - 1).to(image.dtype)


def collage(person: Tensor, box_pixels: Tensor, detail: Tensor) -> Tensor:
    """Stretch a detail map into the bounding box of a mask, and paste it over the person where the mask is.

    Args:
        person: The person with the box erased, (B, 3, H, W) in [-1, 1].
        box_pixels: The input mask, (B, 1, H, W) in [0, 1]; more than half a pixel counts.
        detail: (B, 3, S, S) in [-1, 1], see :func:`detail_map`.

    Returns:
        (B, 4, H, W) in the dtype of ``person``: its pixels outside of the mask and the detail map inside, in [-1, 1],
        and as the fourth channel the mask, 0 or 1.

    Raises:
        ValueError: If a mask is empty.
    """
    inside = box_pixels > HALF
    height, width = inside.shape[-2:]
    _check_filled(inside)
    x, y = _places(inside.any(2).squeeze(1)), _places(inside.any(3).squeeze(1))
    grid = torch.stack([x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)], dim=-1)
    stretched = F.grid_sample(detail.float(), grid, padding_mode="border", align_corners=False)
    pasted = stretched.to(person.dtype).where(inside, person)
    return torch.cat([pasted, inside.to(person.dtype)], dim=1)


def _resize(image: Tensor) -> Tensor:
    """Bring (B, C, H, W) to 256 pixels, bilinear between the four nearest; float32 without gradient."""
    return F.interpolate(image.detach().float(), size=(SIDE, SIDE), mode="bilinear", align_corners=False)


def _erode(mask: Tensor, pixels: int) -> Tensor:
    """Keep of a mask, (B, 1, S, S) bool, what has nothing but mask in the square of ``pixels`` around it."""
    outside = F.max_pool2d((~mask).float(), 2 * pixels + 1, stride=1, padding=pixels)
    return outside == 0


def _contrast(picture: Tensor) -> Tensor:
    """Mean of the two absolute Sobel derivatives, (B, 1, S, S) in [0, 255], of a picture, (B, 3, S, S) in [0, 255]."""
    kernel = picture.new_tensor(SOBEL)
    kernels = torch.stack([kernel, kernel.T])[:, None].repeat(3, 1, 1, 1)
    derivatives = F.conv2d(F.pad(picture, (1, 1, 1, 1), mode="reflect"), kernels, groups=3)
    strength: Tensor = derivatives.abs().clamp(max=WHITE).unflatten(1, (3, 2)).mean(2).amax(1, keepdim=True)
    return strength


def _places(covered: Tensor) -> Tensor:
    """Where the pixels of a line are in what is covered of it: -1 at its first border and 1 at its last.

    Args:
        covered: (B, n) bool, True somewhere in each row.

    Returns:
        (B, n) float32.
    """
    place = torch.arange(covered.shape[1], device=covered.device)
    first = place.where(covered, covered.shape[1]).amin(1, keepdim=True)
    stop = place.where(covered, -1).amax(1, keepdim=True) + 1
    return (place + HALF - first) / (stop - first) * 2 - 1


def _check_filled(inside: Tensor) -> None:
    """Check that each mask covers a pixel; on the meta device there is none to look at."""
    if inside.is_meta:
        return
    filled = inside.flatten(1).any(1)
    if not filled.all():
        number = int(filled.logical_not().nonzero()[0])
        raise ValueError(
            f"an input mask must cover a pixel, for the collage to have a place, got an empty one for sample {number} "
            "of the batch; give a larger box"
        )
