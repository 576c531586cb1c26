"""Generated images of a batch, and beside them what metrics compare them with."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ornament_lit.batch import TryOnBatch, with_other_ornament
from ornament_lit.imaging.compositing import PasteBack
from ornament_lit.imaging.crops import OrnamentCrop, PersonCrop, tensor_to_image, tensor_to_mask
from ornament_lit.imaging.geometry import Crop
from ornament_lit.metrics import GeneratedBatch
from ornament_lit.metrics.base import Bound, GeneratedImage
from ornament_lit.metrics.bounds import ceiling_of, floor_of
from ornament_lit.models.warps.base import split_rows
from ornament_lit.pipeline.paste_back import Detail, paste_generated

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


def generated_batch(module: "TryOnModule", batch: TryOnBatch, wrong_references: int = 0) -> GeneratedBatch:
    """Generate a batch, and put beside the generated images what metrics compare them with.

    Args:
        module: Generates.
        batch: Of the test data.
        wrong_references: How often to generate again with the same noise, each time with ornaments of other samples.

    Raises:
        ValueError: If wrong references are wanted and the batch has not so many other ornaments.
    """
    generated = cast(GeneratedBatch, {**batch, **_generated(module, batch)})
    if wrong_references:
        others = [with_other_ornament(batch, number) for number in range(wrong_references)]
        generated["wrong_references"] = [_generated(module, other) for other in others]
        generated["wrong_reference"] = generated["wrong_references"][0]
    generated["floor"] = _rounded(floor_of(batch, wrong_references))
    if "correspondence" in batch:
        generated["ceiling"] = _rounded(ceiling_of(batch, wrong_references))
    if "photograph" in batch:
        generated["person_photograph"] = [_as_image(photograph) for photograph in batch["photograph"]]
    return generated


def _generated(module: "TryOnModule", batch: TryOnBatch) -> GeneratedImage:
    """Generated images of a batch rounded to 8 bits, and pasted back where there are whole photographs."""
    prediction = module.generate(batch)
    image = to_8_bits(prediction["image"])
    generated = GeneratedImage(generated_image=image, mask_predictions=prediction["mask_predictions"])
    if "correspondence" in prediction:
        generated["generated_correspondence"] = prediction["correspondence"]
    if "photograph" in batch:
        generated["generated_photograph"] = pasted_photographs(batch, prediction)
    return generated


def _rounded(bound: Bound) -> Bound:
    """A bound with images of 8 bits, as the generated images are."""
    images = [to_8_bits(other["generated_image"]) for other in bound["wrong_references"]]
    others = [GeneratedImage(generated_image=image, mask_predictions=bound["mask_predictions"]) for image in images]
    return {**bound, "generated_image": to_8_bits(bound["generated_image"]), "wrong_references": others}


def to_8_bits(images: Tensor) -> Tensor:
    """Round images in [-1, 1] to what 8 bits hold."""
    return images.float().add(1).mul(127.5).round().div(127.5).sub(1)


def pasted_photographs(batch: TryOnBatch, prediction: Mapping[str, Any]) -> list[Tensor]:
    """Whole photographs with generated images in them, as the pipeline pastes them.

    Where there is a warp, the ornament's own image is laid over the photograph, in the resolution that the data bring
    along (``data.detail``).

    Args:
        batch: With ``photograph``, ``crop`` and ``box``.
        prediction: What the module generated for it.

    Returns:
        B images (3, height, width) in [-1, 1], each of its own size.
    """
    rows = range(len(batch["key"]))
    masks = prediction["mask"] if len(prediction["mask_predictions"]) else [None for _ in rows]
    details: list[Detail | None] = [None for _ in rows]
    if "warp" in prediction:
        details = [Detail(warp, _ornament(batch, row)) for row, warp in enumerate(split_rows(prediction["warp"]))]
    paste_back = PasteBack()
    pasted = (
        paste_generated(
            paste_back, prediction["image"][row].float().cpu(), _person(batch, row), masks[row], details[row]
        )
        for row in rows
    )
    return [_as_tensor(composite.image).to(prediction["image"].device) for composite in pasted]


def _person(batch: TryOnBatch, row: int) -> PersonCrop:
    x0, y0, x1, y1 = batch["box"][row].tolist()
    photograph = tensor_to_image(_as_image(batch["photograph"][row]))
    crop = Crop(*batch["crop"][row].tolist())
    return PersonCrop(photograph, (x0, y0, x1, y1), crop, batch["person_image"][row], batch["box_mask"][row])


def _ornament(batch: TryOnBatch, row: int) -> OrnamentCrop:
    image, mask = batch["ornament_image"][row], batch["ornament_mask"][row]
    finest, where = image, mask
    if "ornament_detail" in batch:
        finest, where = batch["ornament_detail"]["image"][row], batch["ornament_detail"]["mask"][row]
    return OrnamentCrop(image, mask, tensor_to_image(finest), tensor_to_mask(where), Crop(0, 0, finest.shape[-1]))


def _as_tensor(image: Image.Image) -> Tensor:
    """An ``RGB`` image, (3, height, width) in [-1, 1]."""
    return _as_image(torch.from_numpy(np.array(image)).permute(2, 0, 1))


def _as_image(pixels: Tensor) -> Tensor:
    """An image of uint8 in [-1, 1]."""
    return pixels.float() / 127.5 - 1
