"""What the networks see of an ornament and of a person: square crops of photographs as tensors.

Shape legend: r resolution of a crop in pixels.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ornament_lit.batch import WideView
from ornament_lit.imaging.foreground import find_ornament, on_white
from ornament_lit.imaging.geometry import (
    MID_GREY,
    AnyBox,
    Box,
    Crop,
    check_box,
    crop_and_resize,
    draw_box,
    draw_oriented_box,
    mask_to_box,
    oriented,
    square_crop,
    widen_crop,
)
from ornament_lit.imaging.reading import as_photograph, as_rgb, image_of_pixels, open_photograph

ORNAMENT_FACTOR = 1.2
"""Side of the ornament's crop over the longer side of its mask's box."""

LONGEST_SIDE = 32768
"""Of a crop, in pixels of its image: with more of them, memory would not do."""

ImageLike = Image.Image | str | Path | NDArray[Any] | Tensor
"""An image of Pillow, the path of a file, or pixels: see :func:`ornament_lit.imaging.reading.image_of_pixels`."""


CROP_SETTINGS = ("resolution", "crop_factor", "wide_view", "detail", "bare")
"""Options of a data module that a model has to be given the same crops by, after training."""


def crop_settings_of(data: object) -> dict[str, float]:
    """What a data module says of its crops, by its attributes; what it does not say, or says None of, is left out."""
    told = {name: getattr(data, name, None) for name in CROP_SETTINGS}
    return {name: value for name, value in told.items() if value is not None}


class OrnamentCrop(NamedTuple):
    """An ornament as the networks see it, and its image.

    Attributes:
        image: (3, r, r) in [-1, 1].
        mask: (1, r, r) in [0, 1].
        source: The whole image, ``RGB``.
        whole_mask: Where the ornament is in it, ``L``.
        crop: The crop.
    """

    image: Tensor
    mask: Tensor
    source: Image.Image
    whole_mask: Image.Image
    crop: Crop

    def at(self, resolution: int) -> tuple[Tensor, Tensor]:
        """Image and mask of the crop at another resolution."""
        image = image_to_tensor(self.source, self.crop, resolution)
        return image, mask_to_tensor(self.whole_mask, self.crop, resolution)


class PersonCrop(NamedTuple):
    """A person as the networks see them, and where that is in the photograph.

    Attributes:
        photograph: The whole photograph, upright, in a mode of :class:`ornament_lit.imaging.reading.Photograph`.
        box: What of the box lies in it; of the upright one around it, where it is turned.
        crop: The crop.
        image: (3, r, r) in [-1, 1]; the box is not masked out yet.
        box_mask: (1, r, r), 1 in the box.
        input_mask: (1, r, r), 1 in the turned box; None where the user's box says no angle.
    """

    photograph: Image.Image
    box: Box
    crop: Crop
    image: Tensor
    box_mask: Tensor
    input_mask: Tensor | None = None


def crop_ornament(source: ImageLike, mask: ImageLike | None, resolution: int) -> OrnamentCrop:
    """Cut out the square around an ornament.

    Args:
        source: The ornament; transparency is laid over white.
        mask: Where it is: white in a grey image of the same size. None to guess it: see
            :func:`ornament_lit.imaging.foreground.find_ornament`.
        resolution: r.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If an image cannot be used, or the mask is empty or of another size.
    """
    whole = open_image(source, "the ornament's image")
    seen = as_rgb(on_white(whole))
    grey = find_ornament(whole if whole.mode != "I;16" else seen) if mask is None else _given_mask(mask, whole.size)
    box = mask_to_box(grey)
    if box is None:
        raise ValueError("an ornament mask must have a pixel above 127, got none; white is the ornament")
    crop = _checked(square_crop(box, ORNAMENT_FACTOR), "the ornament's image")
    image, crop_mask = image_to_tensor(seen, crop, resolution), mask_to_tensor(grey, crop, resolution)
    return OrnamentCrop(image, crop_mask, seen, grey, crop)


def crop_person(source: ImageLike, box: AnyBox, resolution: int, factor: float) -> PersonCrop:
    """Cut out the square around a box.

    Args:
        source: The person.
        box: Where the ornament is to be worn, (x0, y0, x1, y1) in pixels of the upright image, or with the angle
            by which it is turned; the square is around the upright box then, which is around the turned one.
        resolution: r.
        factor: Side of the square over the longer side of the box.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the image or the box cannot be used.
    """
    photograph = open_image(source, "the person's image")
    inside = check_box(box, *photograph.size)
    crop = _checked(square_crop(inside, factor), "the person's image")
    image = image_to_tensor(as_rgb(photograph), crop, resolution)
    box_mask = draw_box(inside, crop, resolution)
    return PersonCrop(photograph, inside, crop, image, box_mask, _oriented_mask(box, crop, box_mask))


def crop_wide_view(person: PersonCrop, factor: float) -> WideView:
    """One row of a :class:`ornament_lit.batch.WideView`: the photograph around a crop, ``factor`` times as wide."""
    resolution = person.image.shape[-1]
    wide = widen_crop(person.crop, factor)
    return WideView(
        image=image_to_tensor(as_rgb(person.photograph), wide, resolution),
        box_mask=draw_box(person.box, wide, resolution),
        factor=torch.tensor(wide.size / person.crop.size),
    )


def open_image(source: ImageLike, name: str) -> Image.Image:
    """Pixels of a user's image, upright and with their alpha and depth, see :mod:`ornament_lit.imaging.reading`."""
    if isinstance(source, np.ndarray | Tensor):
        source = image_of_pixels(source, name)
    if isinstance(source, Image.Image):
        return as_photograph(source, name).pixels
    return open_photograph(source).pixels


def image_to_tensor(image: Image.Image, crop: Crop, resolution: int) -> Tensor:
    """A crop of an ``RGB`` image, (3, r, r) in [-1, 1]; what lies outside the image is mid grey."""
    pixels = crop_and_resize(image, crop, resolution, MID_GREY)
    return torch.from_numpy(np.array(pixels)).permute(2, 0, 1).float().div_(127.5).sub_(1.0).contiguous()


def mask_to_tensor(mask: Image.Image, crop: Crop, resolution: int) -> Tensor:
    """A crop of an ``L`` mask, (1, r, r) in [0, 1]; what lies outside is 0."""
    pixels = crop_and_resize(mask, crop, resolution, 0, Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(pixels)).unsqueeze(0).float().div_(255.0)


def tensor_to_image(image: Tensor) -> Image.Image:
    """An ``RGB`` image of (3, r, r) in [-1, 1]."""
    pixels = image.detach().float().clamp(-1, 1).add(1).mul(127.5).round().byte()
    return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())


def tensor_to_mask(mask: Tensor) -> Image.Image:
    """An ``L`` image of (1, r, r) in [0, 1]."""
    return Image.fromarray(mask[0].detach().float().clamp(0, 1).mul(255).round().byte().cpu().numpy())


def _checked(crop: Crop, name: str) -> Crop:
    if crop.size > LONGEST_SIDE:
        raise ValueError(
            f"the square that is looked at in {name} must have at most {LONGEST_SIDE} pixels a side, got {crop.size}; "
            "scale the image down"
        )
    return crop


def _oriented_mask(box: AnyBox, crop: Crop, box_mask: Tensor) -> Tensor | None:
    """The turned box in a crop, within the photograph; None for a box without an angle."""
    turned = oriented(box)
    if turned is None:
        return None
    resolution = box_mask.shape[-1]
    mask = draw_oriented_box(turned, crop, resolution) * box_mask
    if not mask.any():
        raise ValueError(
            f"a turned box must hold the middle of a pixel of the crop, which has {resolution}x{resolution}, got "
            f"{list(box)}; make it wider"
        )
    return mask


def _given_mask(mask: ImageLike, size: tuple[int, int]) -> Image.Image:
    opened = open_image(mask, "the ornament's mask")
    if opened.size != size:
        raise ValueError(f"an ornament mask must have the size of its image, {size}, got {opened.size}; scale it")
    return as_rgb(opened).convert("L")
