"""Contact sheets: triplets side by side in one image, so that people see what is in a set.

A strip is one triplet: ornament, its mask, the person, the person with the box, the wearing mask, and, where there is
one, the correspondence in colours that tell where in the ornament's image a point lies; a caption stands above it.
"""

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from datamodules.samples.decoding import Triplet
    from datamodules.shards.index import ShardEntry
    from ornament_lit.imaging.geometry import AnyBox

COLUMNS = ("ornament", "ornament mask", "person", "person with box", "wearing mask", "correspondence")
MARGIN = 4
LINE = 18
BACKGROUND = (255, 255, 255)
EMPTY = (205, 205, 205)
BOX_COLOUR = (255, 60, 0)


class Captioned(NamedTuple):
    """A strip of a contact sheet.

    Attributes:
        triplet: The images.
        caption: What stands above them.
    """

    triplet: "Triplet"
    caption: str


def evenly(total: int, count: int) -> list[int]:
    """Indices spread evenly over ``range(total)``.

    Args:
        total: Length of what is sampled.
        count: How many indices; fewer where there are not as many.

    Returns:
        Rising indices without repetition, the middles of equal stretches.
    """
    count = min(count, total)
    return [(2 * index + 1) * total // (2 * count) for index in range(count)]


def contact_sheet(strips: Sequence[Captioned], tile: int = 128, across: int = 2) -> Image.Image:
    """Draw triplets in strips.

    Args:
        strips: The triplets and their captions, at least one.
        tile: Side of the square in pixels that each image is scaled into, with its proportions kept.
        across: Strips side by side, fewer where there are not as many.

    Returns:
        The sheet, RGB.

    Raises:
        ValueError: If there is no strip.
    """
    if not strips:
        raise ValueError("a contact sheet needs at least one triplet, got none")
    across = min(across, len(strips))
    width = len(COLUMNS) * (tile + MARGIN) + MARGIN
    height = LINE + tile + MARGIN
    down = -(-len(strips) // across)
    sheet = Image.new("RGB", (across * width, LINE + down * height), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for place in range(across):
        for index, name in enumerate(COLUMNS):
            centre = place * width + MARGIN + index * (tile + MARGIN) + tile // 2
            draw.text((centre, LINE // 2), name, "black", font, anchor="mm")
    for number, strip in enumerate(strips):
        left, top = (number % across) * width + MARGIN, LINE + (number // across) * height
        text = _shorten(strip.caption, font, width - 2 * MARGIN)
        draw.text((left, top + LINE // 2), text, "black", font, anchor="lm")
        for index, image in enumerate(_images(strip.triplet, tile)):
            sheet.paste(image, (left + index * (tile + MARGIN), top + LINE))
    return sheet


def caption(key: str, metadata: Mapping[str, Any]) -> str:
    """Key, type and, where the metadata have it, kind of a sample."""
    return " · ".join(str(word) for word in (key, metadata.get("type"), metadata.get("kind")) if word)


def sheet_of_shards(
    folder: str | Path, entries: Sequence["ShardEntry"], count: int = 16, tile: int = 128, across: int = 2
) -> Image.Image:
    """Draw samples of each type spread evenly over the shards of a folder, as many of a type as there are in the set.

    Samples that cannot be decoded are left out.

    Args:
        folder: Where the shards are.
        entries: Their entries in the index.
        count: How many samples.
        tile: Side of an image.
        across: Strips side by side.

    Raises:
        ValueError: If not one of the chosen samples can be decoded.
    """
    from datamodules.samples.decoding import decode, describe
    from datamodules.shards.reading import is_image, read_sample
    from datamodules.shards.sample_index import Place
    from datamodules.storage.sample_errors import SampleError
    from ornament_lit.utils.categories import CATEGORIES

    places = [Place(str(Path(folder) / entry.name), entry, row) for entry in entries for row in entry.samples]
    places.sort(key=lambda place: CATEGORIES.index(place.row.category))
    strips = []
    for index in evenly(len(places), count):
        try:
            with open(places[index].shard, "rb") as file:
                sample = read_sample(file, places[index], is_image)
            triplet = decode(sample, describe(sample))
        except (SampleError, OSError):
            continue
        strips.append(Captioned(triplet, caption(triplet.key, json.loads(sample["json"]))))
    return contact_sheet(strips, tile, across)


def _images(triplet: "Triplet", tile: int) -> list[Image.Image]:
    person = _fit(triplet.person, tile)
    boxed = person.copy()
    _draw_box(boxed, triplet.oriented_box or triplet.box, triplet.person.size)
    return [
        _fit(triplet.ornament, tile),
        _fit(triplet.ornament_mask, tile),
        person,
        boxed,
        _fit(triplet.wearing_mask, tile),
        _correspondence(triplet, tile),
    ]


def _correspondence(triplet: "Triplet", tile: int) -> Image.Image:
    """Each worn pixel: redder the more to the right in the ornament's image, greener the lower; dim where hidden."""
    if triplet.correspondence is None:
        return Image.new("RGB", (tile, tile), EMPTY)
    points, known, seen = triplet.correspondence
    x, y = np.moveaxis(points / triplet.ornament.size, -1, 0)
    light = (known + seen) / 2
    colours = np.stack([x, y, 1 - x], -1) * light[..., None]
    return _fit(Image.fromarray((255 * colours.clip(0, 1)).astype(np.uint8)), tile)


def _scaled_size(size: tuple[int, int], tile: int) -> tuple[int, int]:
    width, height = (max(1, round(side * tile / max(size))) for side in size)
    return width, height


def _fit(image: Image.Image, tile: int) -> Image.Image:
    """Scale an image into a square and centre it there."""
    scaled = image.convert("RGB").resize(_scaled_size(image.size, tile), Image.Resampling.BICUBIC)
    square = Image.new("RGB", (tile, tile), EMPTY)
    square.paste(scaled, ((tile - scaled.width) // 2, (tile - scaled.height) // 2))
    return square


def _draw_box(square: Image.Image, box: "AnyBox", size: tuple[int, int]) -> None:
    tile = square.width
    scale = tile / max(size)
    width, height = _scaled_size(size, tile)
    left, top = (tile - width) // 2, (tile - height) // 2
    if len(box) == 5:
        _draw_oriented_box(square, box, scale, (left, top))
        return
    x0, y0, x1, y1 = (edge * scale for edge in box)
    corners = (left + x0, top + y0, min(left + x1, tile) - 1, min(top + y1, tile) - 1)
    ImageDraw.Draw(square).rectangle(corners, outline=BOX_COLOUR, width=max(1, tile // 96))


def _draw_oriented_box(square: Image.Image, box: "AnyBox", scale: float, start: tuple[int, int]) -> None:
    from ornament_lit.imaging.geometry import box_corners

    corners = [(start[0] + x * scale, start[1] + y * scale) for x, y in box_corners(box).tolist()]
    ImageDraw.Draw(square).polygon(corners, outline=BOX_COLOUR, width=max(1, square.width // 96))


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """Make one line of a text, and cut it to a width in pixels."""
    text = " ".join(text.split())
    if len(text) <= width and font.getlength(text) <= width:
        return text
    lengths = range(1, min(len(text), int(width)))  # no letter is narrower than a pixel
    return f"{text[: bisect_right(lengths, width, key=lambda kept: font.getlength(f'{text[:kept]}…'))]}…"
