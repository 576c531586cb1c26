"""What the pipeline returns.

Shape legend: B batch, r resolution of a crop in pixels, T mask iterations.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from diffusers.utils import BaseOutput
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ornament_lit.imaging.crops import tensor_to_mask
from ornament_lit.imaging.geometry import Crop, uncrop, visible_part
from ornament_lit.imaging.reading import as_rgb
from ornament_lit.models.warps.base import WarpOutput

OutputType = Literal["pil", "np", "pt", "latent"]


@dataclass
class TryOnOutput(BaseOutput):  # type: ignore[misc]
    """Persons with ornaments, and how that came about; as outputs of diffusers, ``output[0]`` are the images.

    Attributes:
        images: The photographs with the ornament, one for each generated image, of their own sizes: a list also of
            arrays and tensors; for ``latent`` the latents as they were generated, (B, c, h, w).
        masks: Where each was changed, ``L``, of the photograph's size: the share of the generated image in 255ths.
            Where it is 0, the pixel is that of the photograph.
        generated: The crops as they were generated, (B, 3, r, r) in [0, 1].
        refined_masks: For each refresh along the denoising, the masks of all iterations, (T, B, 1, r, r) in [0, 1]; T
            is 0 where no mask is predicted.
        attention: Attention mass on the ornament, (B, 1, r, r) in [0, 1]; None where it was not asked for, and of a
            model whose attention has no keys of the ornament.
        crops: Where each crop lies in its photograph.
        seeds: What each was generated from.
        warps: What the warp says of each, a row each, on the CPU; None for a model without one.
    """

    images: Any
    masks: list[Image.Image]
    generated: Tensor
    refined_masks: list[Tensor]
    attention: Tensor | None
    crops: list[Crop]
    seeds: list[int]
    warps: list[WarpOutput] | None = None

    def over_photograph(self, values: Tensor, index: int = 0) -> Image.Image:
        """Lay values of a crop over the photograph.

        Args:
            values: (1, r, r) in [0, 1], such as a mask of ``refined_masks`` or ``attention[index]``.
            index: Which person.

        Returns:
            ``L``, of the photograph's size, 0 outside the crop.
        """
        whole = Image.new("L", self.masks[index].size)
        crop = self.crops[index]
        whole.paste(uncrop(tensor_to_mask(values), crop, *whole.size), visible_part(crop, *whole.size)[:2])
        return whole


def convert(image: Image.Image, output_type: OutputType) -> Image.Image | NDArray[np.float32] | Tensor:
    """An image as it is (``pil``), as an array (H, W, 3) in [0, 1] (``np``) or a tensor (3, H, W) (``pt``)."""
    if output_type == "pil":
        return image
    pixels = np.asarray(as_rgb(image), dtype=np.float32) / 255.0
    return pixels if output_type == "np" else torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
