"""What a sample can bring along beside its images: correspondence, a wider view, the ornament in detail."""

from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.samples.carrying import crop_correspondence, mirror, to_tensors, unknown
from datamodules.samples.colours import change_colours
from datamodules.samples.decoding import Triplet
from datamodules.samples.references import Reference
from ornament_lit.batch import Correspondence, OrnamentDetail, WideView
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
    """

    triplet: Triplet
    box: Box
    crop: Crop
    reference: Reference
    flip: bool
    change: Tensor | None

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


def detail_of(view: View, resolution: int) -> OrnamentDetail:
    """One row of :class:`ornament_lit.batch.OrnamentDetail` at a resolution in pixels."""
    image, mask = view.finish(*view.reference.tensors(resolution))
    return OrnamentDetail(image=image, mask=mask)
