"""What the pipeline returns.

Shape legend: B batch, r resolution of a window in pixels, T mask iterations.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ornament_lit.compositing import Composite, PasteBack
from ornament_lit.geometry import Crop, uncrop, visible_part
from ornament_lit.photographs import as_rgb
from ornament_lit.windows import PersonWindow, tensor_to_image, tensor_to_mask

OutputType = Literal["pil", "np", "pt"]


@dataclass(frozen=True)
class TryOnOutput:
    """Persons with ornaments, and how that came about.

    Attributes:
        images: The photographs with the ornament, one a person, of their own sizes.
        masks: Where each was changed, ``L``, of the photograph's size: the share of the drawing in 255ths. Where it is
            0, the pixel is that of the photograph.
        drawings: The windows as they were drawn, (B, 3, r, r) in [0, 1].
        refined_masks: For each refresh along the denoising, the masks of all iterations, (T, B, 1, r, r) in [0, 1]; T
            is 0 where no mask is predicted.
        attention: Attention mass on the ornament, (B, 1, r, r) in [0, 1], if it was asked for.
        crops: Where each window lies in its photograph.
        seeds: What each was drawn from.
    """

    images: list[Any]
    masks: list[Image.Image]
    drawings: Tensor
    refined_masks: list[Tensor]
    attention: Tensor | None
    crops: list[Crop]
    seeds: list[int]

    def over_photograph(self, values: Tensor, index: int = 0) -> Image.Image:
        """Lay values of a window over the photograph.

        Args:
            values: (1, r, r) in [0, 1], such as a mask of ``refined_masks`` or ``attention[index]``.
            index: Which person.

        Returns:
            ``L``, of the photograph's size, 0 outside the window.
        """
        whole = Image.new("L", self.masks[index].size)
        crop = self.crops[index]
        whole.paste(uncrop(tensor_to_mask(values), crop, *whole.size), visible_part(crop, *whole.size)[:2])
        return whole


def convert(picture: Image.Image, output_type: OutputType) -> Image.Image | NDArray[np.float32] | Tensor:
    """A picture as it is (``pil``), as an array (H, W, 3) in [0, 1] (``np``) or a tensor (3, H, W) (``pt``)."""
    if output_type == "pil":
        return picture
    pixels = np.asarray(as_rgb(picture), dtype=np.float32) / 255.0
    return pixels if output_type == "np" else torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def paste(paste_back: PasteBack, pictures: Tensor, persons: Sequence[PersonWindow], masks: Tensor) -> list[Composite]:
    """Put drawn windows back into their photographs.

    Args:
        paste_back: How.
        pictures: (B, 3, r, r) in [-1, 1].
        persons: B persons.
        masks: The masks to paste in, (1, B, 1, r, r) in [0, 1]; none, (0, ...), for the whole boxes. An empty mask
            stands for its box, with a warning.
    """
    pasted = []
    for index, (picture, person) in enumerate(zip(pictures, persons, strict=True)):
        mask = masks[0][index] if len(masks) else None
        if mask is not None and not bool((mask > paste_back.threshold).any()):
            warnings.warn("the predicted mask is empty: the whole box is pasted", stacklevel=4)
            mask = None
        pasted.append(paste_back(person.photograph, tensor_to_image(picture), person.crop, person.box, mask))
    return pasted
