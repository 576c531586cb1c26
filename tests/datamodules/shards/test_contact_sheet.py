from pathlib import Path

import pytest
from PIL import Image, ImageFont

from datamodules.samples.decoding import Triplet
from datamodules.shards.contact_sheet import (
    BOX_COLOUR,
    COLUMNS,
    LINE,
    MARGIN,
    Captioned,
    _shorten,
    caption,
    contact_sheet,
    evenly,
    sheet_of_shards,
)
from datamodules.shards.index import scan_shard

STRIP = len(COLUMNS) * (64 + MARGIN) + MARGIN


def triplet(width: int = 40, height: int = 20, colour: tuple[int, int, int] = (10, 200, 30)) -> Triplet:
    mask = Image.new("L", (width, height))
    mask.paste(255, (0, 0, width // 2, height))
    picture = Image.new("RGB", (width, height), colour)
    return Triplet(picture, mask, picture, mask, (10.0, 5.0, 30.0, 15.0), "ring", "k")


def tile(sheet: Image.Image, column: int) -> Image.Image:
    left = MARGIN + column * (64 + MARGIN)
    return sheet.crop((left, 2 * LINE, left + 64, 2 * LINE + 64))


@pytest.mark.parametrize(
    ("total", "count", "indices"), [(10, 2, [2, 7]), (3, 8, [0, 1, 2]), (0, 4, []), (5, 1, [2]), (7, 0, [])]
)
def test_evenly(total: int, count: int, indices: list[int]) -> None:
    assert evenly(total, count) == indices


def test_pictures_keep_their_proportions_and_the_box_is_where_it_belongs() -> None:
    sheet = contact_sheet([Captioned(triplet(), "k")], tile=64)
    assert sheet.size == (STRIP, LINE + LINE + 64 + MARGIN)
    person, boxed, mask = tile(sheet, 2), tile(sheet, 3), tile(sheet, 4)
    assert person.getpixel((32, 32)) == (10, 200, 30) and person.getpixel((32, 10)) == (205, 205, 205)
    assert mask.getpixel((10, 32)) == (255, 255, 255) and mask.getpixel((50, 32)) == (0, 0, 0)
    outlined = [(x, y) for x in range(64) for y in range(64) if boxed.getpixel((x, y)) == BOX_COLOUR]
    # 40x20 pixels become 64x32 in the middle: the box (10, 5, 30, 15) becomes (16, 24, 48, 40).
    assert (min(outlined), max(outlined)) == ((16, 24), (47, 39))


def test_strips_stand_side_by_side_and_below() -> None:
    strips = [Captioned(triplet(colour=(50 * index, 0, 0)), "x" * 300) for index in range(3)]
    sheet = contact_sheet(strips, tile=64, across=2)
    assert sheet.size == (2 * STRIP, LINE + 2 * (LINE + 64 + MARGIN))
    below = (MARGIN + 32, LINE + (LINE + 64 + MARGIN) + LINE + 32)
    assert sheet.getpixel(below) == (100, 0, 0)
    assert sheet.getpixel((STRIP + MARGIN + 32, 2 * LINE + 32)) == (50, 0, 0)


@pytest.mark.parametrize("text", ["k" * 10**6, "two\nlines \u202e\x1b" * 3, "i" * 4000, ""])
def test_a_caption_of_any_length_is_one_line_that_fits(text: str) -> None:
    font = ImageFont.load_default(12)
    shown = _shorten(text, font, 400)
    assert font.getlength(shown) <= 400 and "\n" not in shown
    assert shown == text or len(text) < 100 or (shown.endswith("…") and font.getlength(shown + text[0]) > 400)


def test_no_strip_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one triplet"):
        contact_sheet([])


def test_caption_leaves_out_what_is_not_known() -> None:
    assert caption("k", {"type": "ring", "kind": "signet"}) == "k · ring · signet"
    assert caption("k", {"type": "ring"}) == "k · ring"


def test_every_type_comes_onto_the_sheet_of_a_set_whose_types_come_in_turn(
    shard_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        "datamodules.shards.contact_sheet.caption", lambda key, metadata: drawn.append(metadata["type"]) or ""
    )
    entries = [scan_shard(path) for path in sorted(shard_dir.glob("*.tar"))]
    sheet_of_shards(shard_dir, entries, count=4)
    assert drawn == ["bracelet", "ring", "earring", "necklace"]
