"""What a sample can bring along beside its images: correspondence, a wider view, the bare person, more detail."""

from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from datamodules.samples.carrying import crop_correspondence, mirror, to_tensors, unknown
from datamodules.samples.colours import change_colours
from datamodules.samples.decoding import Triplet
from datamodules.samples.references import Reference
from ornament_lit.batch import BarePerson, Correspondence, OrnamentDetail, WideView
from ornament_lit.imaging.crops import image_to_tensor, mask_to_tensor
from ornament_lit.imaging.geometry import Box, Crop, draw_box, widen_crop


class View(NamedTuple):
    """How a sample shows its triplet.

    Attributes:
        triplet: The triplet, its person turned.
        box: The coarse box.
        crop: The person's crop.
        reference: The ornament's crop.
        flip: Whether all images are mirrored.
        change: The ornament's other colours, (3, 3); None where they stay.
        bare: Whether the model is shown the bare person, if there is one.
    """

    triplet: Triplet
    box: Box
    crop: Crop
    reference: Reference
    flip: bool
    change: Tensor | None
    bare: bool = False

    def finish(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Recolour an image (3, H, W) within the ornament's mask (1, H, W), and mirror both."""
        if self.change is not None:
            image = change_colours(image, mask, self.change)
        return (image.flip(-1), mask.flip(-1)) if self.flip else (image, mask)


def correspondence_of(view: View, resolution: int) -> Correspondence:
    """One row of :class:`ornament_lit.batch.Correspondence`; nothing is known where the triplet has none."""
    if view.triplet.correspondence is None:
        return unknown(resolution)
    seen = crop_correspondence(view.triplet.correspondence, view.crop, resolution)
    seen = seen._replace(points=view.reference.places(seen.points))
    tensors = to_tensors(seen, view.reference.crop)
    return mirror(tensors) if view.flip else tensors


def wide_view_of(view: View, factor: float, resolution: int) -> WideView:
    """One row of :class:`ornament_lit.batch.WideView`.

    Args:
        view: How the sample shows its triplet.
        factor: Side of the wider crop over that of the person's, up to a pixel.
        resolution: Side of the image in pixels.
    """
    wide = widen_crop(view.crop, factor)
    image = image_to_tensor(view.triplet.person, wide, resolution)
    image, _ = view.finish(image, mask_to_tensor(view.triplet.wearing_mask, wide, resolution))
    box_mask = draw_box(view.box, wide, resolution)
    ratio = torch.tensor(wide.size / view.crop.size)
    return WideView(image=image, box_mask=box_mask.flip(-1) if view.flip else box_mask, factor=ratio)


def bare_person_of(view: View, wide_view: float | None, resolution: int) -> BarePerson:
    """One row of :class:`ornament_lit.batch.BarePerson`; where the triplet has none, it is grey and not shown.

    Args:
        view: How the sample shows its triplet.
        wide_view: Factor of the wider view; None for none.
        resolution: Side of the images in pixels.
    """
    bare = view.triplet.bare if view.bare else None
    row = BarePerson(image=_person(bare, view.crop, view.flip, resolution), shown=torch.tensor(float(bare is not None)))
    if wide_view is not None:
        row["wide_image"] = _person(bare, widen_crop(view.crop, wide_view), view.flip, resolution)
    return row


def _person(image: Image.Image | None, crop: Crop, flip: bool, resolution: int) -> Tensor:
    """A crop of a person's image, (3, r, r) in [-1, 1]; grey where there is none."""
    if image is None:
        return torch.zeros(3, resolution, resolution)
    tensor = image_to_tensor(image, crop, resolution)
    return tensor.flip(-1) if flip else tensor


def detail_of(view: View, resolution: int) -> OrnamentDetail:
    """One row of :class:`ornament_lit.batch.OrnamentDetail` at a resolution in pixels."""
    image, mask = view.finish(*view.reference.tensors(resolution))
    return OrnamentDetail(image=image, mask=mask)
