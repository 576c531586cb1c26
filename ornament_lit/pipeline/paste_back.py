"""From a drawing to the photograph with it: what the pipeline and the reports' region ``full`` both do.

Shape legend: r resolution of a window in pixels, s side of a mask.
"""

import warnings
from typing import NamedTuple

from torch import Tensor

from ornament_lit.imaging.compositing import Composite, PasteBack
from ornament_lit.imaging.crops import OrnamentWindow, PersonWindow, tensor_to_image
from ornament_lit.models.warps.base import WarpOutput
from ornament_lit.pipeline.detail import paste_detail


class Detail(NamedTuple):
    """What the ornament's own picture is laid over the photograph by.

    Attributes:
        warp: What the warp says, one row: (1, ..., r, r), on the CPU.
        ornament: The ornament's picture.
    """

    warp: WarpOutput
    ornament: OrnamentWindow


def paste_drawing(
    paste_back: PasteBack,
    drawing: Tensor,
    person: PersonWindow,
    mask: Tensor | None = None,
    detail: Detail | None = None,
    whole_box: bool = False,
) -> Composite:
    """Put a drawing into its photograph; a photograph that stays as it is, is told of by a warning.

    Args:
        paste_back: How a drawing is pasted without ``detail``.
        drawing: (3, r, r) in [-1, 1].
        person: The person.
        mask: The predicted wearing mask, (1, s, s) in [0, 1]; None where none is predicted, for the whole box. One
            that says ornament nowhere in the box stands for the box, with a warning.
        detail: Lay the ornament's own picture over the photograph; None to paste the drawing as it is.
        whole_box: Paste the whole box, whatever the mask says.
    """
    if detail is not None:
        composite = paste_detail(detail.warp, drawing, detail.ornament, person, whole_box)
    else:
        image = tensor_to_image(drawing)
        chosen = None if whole_box else _found(paste_back, mask, person, image.width)
        composite = paste_back(person.photograph, image, person.crop, person.box, chosen)
    if composite.mask.getbbox() is None:
        warnings.warn(
            "nothing of the drawing lies in the box: the photograph stays as it is; move or grow the box", stacklevel=3
        )
    return composite


def _found(paste_back: PasteBack, mask: Tensor | None, person: PersonWindow, resolution: int) -> Tensor | None:
    """The mask, unless there is none of the ornament in the box."""
    if mask is None or paste_back.finds(mask, person.crop, person.box, resolution):
        return mask
    warnings.warn("in the box, the predicted mask is empty: the whole box is pasted", stacklevel=4)
    return None
