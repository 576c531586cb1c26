"""Drawings of a batch, and beside them what metrics compare them with."""

from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ornament_lit.batch import TryOnBatch, with_other_ornament
from ornament_lit.compositing import PasteBack
from ornament_lit.geometry import Crop
from ornament_lit.metrics import DrawnBatch
from ornament_lit.metrics.base import Bound, Drawing
from ornament_lit.metrics.bounds import ceiling_of, floor_of
from ornament_lit.windows import tensor_to_image

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


def drawn_batch(module: "TryOnModule", batch: TryOnBatch, wrong_references: int = 0) -> DrawnBatch:
    """Draw a batch, and put beside the drawings what metrics compare them with.

    Args:
        module: Draws.
        batch: Of the test data.
        wrong_references: How often to draw again with the same noise, each time with ornaments of other samples.

    Raises:
        ValueError: If wrong references are wanted and the batch has not so many other ornaments.
    """
    drawn = cast(DrawnBatch, {**batch, **_drawing(module, batch)})
    if wrong_references:
        others = [with_other_ornament(batch, number) for number in range(wrong_references)]
        drawn["wrong_references"] = [_drawing(module, other) for other in others]
        drawn["wrong_reference"] = drawn["wrong_references"][0]
    drawn["floor"] = _rounded(floor_of(batch, wrong_references))
    if "correspondence" in batch:
        drawn["ceiling"] = _rounded(ceiling_of(batch, wrong_references))
    if "photograph" in batch:
        drawn["person_photograph"] = [_as_picture(photograph) for photograph in batch["photograph"]]
    return drawn


def _drawing(module: "TryOnModule", batch: TryOnBatch) -> Drawing:
    """Drawings of a batch rounded to 8 bits, and pasted back where there are whole photographs."""
    prediction = module.draw(batch)
    image = to_8_bits(prediction["image"])
    drawing = Drawing(drawn_image=image, mask_predictions=prediction["mask_predictions"])
    if "correspondence" in prediction:
        drawing["drawn_correspondence"] = prediction["correspondence"]
    if "photograph" in batch:
        masks = prediction["mask"] if len(prediction["mask_predictions"]) else [None] * len(image)
        pasted = zip(batch["photograph"], image, batch["window"].tolist(), batch["box"].tolist(), masks, strict=True)
        drawing["drawn_photograph"] = [_paste(*entries) for entries in pasted]
    return drawing


def _rounded(bound: Bound) -> Bound:
    """A bound with pictures of 8 bits, as the drawings are."""
    images = [to_8_bits(other["drawn_image"]) for other in bound["wrong_references"]]
    others = [Drawing(drawn_image=image, mask_predictions=bound["mask_predictions"]) for image in images]
    return {**bound, "drawn_image": to_8_bits(bound["drawn_image"]), "wrong_references": others}


def to_8_bits(pictures: Tensor) -> Tensor:
    """Round pictures in [-1, 1] to what 8 bits hold."""
    return pictures.float().add(1).mul(127.5).round().div(127.5).sub(1)


def _paste(photograph: Tensor, image: Tensor, window: list[int], box: list[float], mask: Tensor | None) -> Tensor:
    whole = tensor_to_image(_as_picture(photograph))
    x0, y0, x1, y1 = box
    composite = PasteBack()(whole, tensor_to_image(image), Crop(*window), (x0, y0, x1, y1), mask)
    pixels = torch.frombuffer(bytearray(composite.picture.tobytes()), dtype=torch.uint8)
    return _as_picture(pixels.view(*photograph.shape[1:], 3).permute(2, 0, 1)).to(image.device)


def _as_picture(pixels: Tensor) -> Tensor:
    """A picture of uint8 in [-1, 1]."""
    return pixels.float() / 127.5 - 1
