"""Strips: what a test generated for a sample, as images side by side in one file."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from callbacks.correspondence_views import COLUMNS as VIEWS
from callbacks.correspondence_views import correspondence_views
from callbacks.grid import GREEN, draw_grid, enlarge, outline
from ornament_lit.batch import TryOnBatch, input_mask, visible_person
from ornament_lit.imaging.crops import tensor_to_image
from ornament_lit.imaging.writing import encode_png
from ornament_lit.metrics import GeneratedBatch
from ornament_lit.utils.files import write_file

if TYPE_CHECKING:
    from collections.abc import Sequence

Strip = list[Tensor]
"""Images of a sample, (3, h, h) in [0, 1], with the names of :func:`columns_of`."""

COLUMNS = ("ornament", "person + box", "try-on", "ground truth")
WRONG = ("wrong ornament", "its try-on")
SMALLEST, LARGEST = 128, 256


def columns_of(count: int) -> tuple[str, ...]:
    """Names of the images of a strip: of all, with a wrong reference two more, with a correspondence four more."""
    wrong = WRONG if count in (len(COLUMNS) + len(WRONG), len(COLUMNS) + len(WRONG) + len(VIEWS)) else ()
    views = VIEWS if count >= len(COLUMNS) + len(VIEWS) else ()
    return (*COLUMNS, *wrong, *views)


def strips_of(batch: TryOnBatch, generated: GeneratedBatch) -> list[Strip]:
    """Lay out what was generated for each sample of a batch.

    Args:
        batch: Of the test data.
        generated: What was generated for it.
    """
    masked = visible_person(batch, input_mask(batch))
    images = [batch["ornament_image"], masked, generated["generated_image"], batch["person_image"]]
    if "wrong_reference" in generated:
        images += [batch["other_ornament"]["ornament_image"], generated["wrong_reference"]["generated_image"]]
    if "generated_correspondence" in generated:
        mask = generated["mask_predictions"][-1] if len(generated["mask_predictions"]) else generated["box_mask"]
        points, ornament, where = generated["generated_correspondence"], batch["ornament_image"], batch["ornament_mask"]
        images += correspondence_views(points, mask.float(), ornament, where)
    strips = [[_sized((image[row] + 1) / 2) for image in images] for row in range(len(batch["key"]))]
    for strip, box in zip(strips, batch["box_mask"], strict=True):
        strip[1] = outline(strip[1], _sized(box) > 0.5, GREEN)
    return strips


def write_strip(path: Path, strip: Strip) -> None:
    """Write a strip as PNG."""
    write_file(path, encode_png(tensor_to_image(torch.cat(strip, dim=2) * 2 - 1)))


def read_strip(path: Path) -> Strip:
    """Read a strip."""
    with Image.open(path) as image:
        pixels = torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8)
        strip = pixels.view(image.height, image.width, 3).permute(2, 0, 1) / 255
    return list(strip.split(strip.shape[1], dim=2))


def draw_strips(rows: "Sequence[tuple[str, str, Strip]]") -> Image.Image:
    """Draw strips below each other, with the names of the columns above.

    Args:
        rows: Name, shown at the left, a note on the generated image, and the strip of each.
    """
    notes = [{"try-on": note} for _, note, _ in rows]
    cells = [
        {column: (cell, note.get(column, "")) for column, cell in zip(columns_of(len(strip)), strip, strict=True)}
        for note, (_, _, strip) in zip(notes, rows, strict=True)
    ]
    return draw_grid([(name, row) for (name, _, _), row in zip(rows, cells, strict=True)])


def draw_unpicked(strips: "Sequence[tuple[str, Strip]]") -> Image.Image:
    """Lay out the first four images of strips in two halves side by side.

    Args:
        strips: Name, shown at the left, and strip of each; at least one.
    """
    rows = [
        (name, {column: (cell, "") for column, cell in zip(COLUMNS, strip, strict=False)}) for name, strip in strips
    ]
    half = -(-len(rows) // 2)
    halves = [draw_grid(part) for part in (rows[:half], rows[half:]) if part]
    table = Image.new("RGB", (sum(part.width for part in halves), halves[0].height), "white")
    for number, part in enumerate(halves):
        table.paste(part, (number * halves[0].width, 0))
    return table


def _sized(image: Tensor) -> Tensor:
    """An image on the CPU, enlarged or shrunk to a size that is good to look at."""
    image = image.detach().float().cpu()
    if image.shape[-1] > LARGEST:
        return F.interpolate(image[None], size=(LARGEST, LARGEST), mode="area")[0]
    return enlarge(image, SMALLEST)
