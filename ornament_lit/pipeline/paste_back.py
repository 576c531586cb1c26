"""From a generated image to the photograph with it: what the pipeline and the reports' region ``full`` both do.

Shape legend: r resolution of a crop in pixels, s side of a mask.
"""

import warnings
from typing import NamedTuple

from torch import Tensor

from ornament_lit.imaging.compositing import Composite, PasteBack
from ornament_lit.imaging.crops import OrnamentCrop, PersonCrop, tensor_to_image
from ornament_lit.models.warps.base import WarpOutput
from ornament_lit.pipeline.detail import paste_detail


class Detail(NamedTuple):
    """What the ornament's own image is laid over the photograph by.

    Attributes:
        warp: What the warp says, one row: (1, ..., r, r), on the CPU.
        ornament: The ornament's image.
    """

    warp: WarpOutput
    ornament: OrnamentCrop


def paste_generated(
    paste_back: PasteBack,
    generated: Tensor,
    person: PersonCrop,
    mask: Tensor | None = None,
    detail: Detail | None = None,
    whole_box: bool = False,
) -> Composite:
    """Put a generated image into its photograph; a photograph that stays as it is, is told of by a warning.

    Args:
        paste_back: How a generated image is pasted without ``detail``.
        generated: (3, r, r) in [-1, 1].
        person: The person.
        mask: The predicted wearing mask, (1, s, s) in [0, 1]; None where none is predicted, for the whole box. One
            that says ornament nowhere in the box stands for the box, with a warning.
        detail: Lay the ornament's own image over the photograph; None to paste the generated image as it is.
        whole_box: Paste the whole box, whatever the mask says.
    """
    if detail is not None:
        composite = paste_detail(detail.warp, generated, detail.ornament, person, whole_box)
    else:
        image = tensor_to_image(generated)
        chosen = None if whole_box else _found(paste_back, mask, person, image.width)
        composite = paste_back(person.photograph, image, person.crop, person.box, chosen)
    if composite.mask.getbbox() is None:
        warnings.warn(
            "nothing of the generated image lies in the box: the photograph stays as it is; move or grow the box",
            stacklevel=3,
        )
    return composite


def _found(paste_back: PasteBack, mask: Tensor | None, person: PersonCrop, resolution: int) -> Tensor | None:
    """The mask, unless there is none of the ornament in the box."""
    if mask is None or paste_back.finds(mask, person.crop, person.box, resolution):
        return mask
    warnings.warn("in the box, the predicted mask is empty: the whole box is pasted", stacklevel=4)
    return None
