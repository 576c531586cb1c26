import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datamodules.packing.encoding import Encoding, Packed, encode_row
from datamodules.packing.manifest import read_manifest
from datamodules.packing.rows import Row
from datamodules.packing.rules import Problem
from datamodules.samples.decoding import decode, describe
from ornament_lit.imaging.geometry import mask_to_box


@pytest.fixture
def row(shop: list[dict[str, str]], tmp_path: Path) -> Row:
    return read_manifest(tmp_path / "shop/manifest.csv").rows[1]


def packed(row: Row, **options: Any) -> Packed:
    result = encode_row(row, Encoding(**options))
    assert isinstance(result, Packed), result
    return result


def test_a_row_becomes_a_sample_that_the_decoder_takes(row: Row) -> None:
    entries = packed(row).entries
    sample = {"__key__": row.key, "__url__": "x.tar", **entries}
    triplet = decode(sample, describe(sample))
    # Worn in (60, 40, 120, 70) of 200x120 pixels: a square of 150 pixels around (90, 55), what of it is there.
    assert triplet.person.size == (150, 120) and triplet.box == (45, 40, 105, 70)
    assert mask_to_box(triplet.wearing_mask) == (45, 40, 105, 70)
    assert triplet.ornament.size == (150, 120) and mask_to_box(triplet.ornament_mask) == (25, 20, 125, 100)
    assert triplet.category == "ring"
    metadata = json.loads(entries["json"])
    assert metadata["sku"] == "S1"
    assert metadata["photographs"]["person"] == {"size": [200, 120], "crop": [15, 0, 165, 120]}


def test_pictures_are_scaled_down_to_the_size(row: Row) -> None:
    entries = packed(row, size=75).entries
    person = Image.open(io.BytesIO(entries["person.jpg"]))
    assert person.size == (75, 60) and json.loads(entries["json"])["box"] == pytest.approx(
        [22.5, 20, 52.5, 35], abs=0.6
    )
    assert Image.open(io.BytesIO(entries["wearing_mask.png"])).size == (75, 60)


def test_place_and_camera_do_not_come_along(row: Row) -> None:
    image = Image.open(row.person)
    exif = Image.Exif()
    exif[0x110] = "a camera"
    image.save(row.person, exif=exif, comment=b"a remark", quality=95)
    assert b"a camera" in row.person.read_bytes()
    stored = packed(row).entries["person.jpg"]
    assert b"a camera" not in stored and b"a remark" not in stored and b"Exif" not in stored


def test_the_background_of_a_cut_out_is_its_mask(row: Row, tmp_path: Path) -> None:
    image, mask = Image.open(row.ornament).convert("RGB"), Image.open(row.ornament_mask or "")
    image.putalpha(mask)
    image.save(tmp_path / "cut.png")
    cut_out = Row(1, "k", "ring", tmp_path / "cut.png", row.person, None, row.wearing_mask)
    assert packed(cut_out).entries["ornament_mask.png"] == packed(row).entries["ornament_mask.png"]


@pytest.mark.parametrize(("missing", "value"), [("ornament_mask", "ornament_mask"), ("wearing_mask", "wearing_mask")])
def test_masks_are_needed(row: Row, missing: str, value: str) -> None:
    values = {name: getattr(row, name) for name in ("number", "key", "category", "ornament", "person")}
    masks = {name: getattr(row, name) for name in ("ornament_mask", "wearing_mask") if name != missing}
    assert encode_row(Row(**values, **masks), Encoding()) == Problem(row.number, row.key, "", "no_mask", value)


def test_problems_name_row_file_rule_and_value(row: Row) -> None:
    problem = encode_row(row, Encoding(min_extent=80))
    assert problem == Problem(3, "k1", str(row.person), "too_small", "60 pixels of 80")
    assert str(problem).startswith(f"row 3 (k1): {row.person}: too_small: 60 pixels of 80; photograph from nearby")


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match="jpeg_quality must be between 1 and 100, got 101"):
        Encoding(jpeg_quality=101)


def test_an_oriented_box_is_stored_with_its_angle(row: Row) -> None:
    plain, turned = (
        json.loads(packed(each).entries["json"]) for each in (row, replace(row, box=(75, 25, 105, 85, 90)))
    )
    assert plain["box"] == [45, 40, 105, 70] and turned["box"] == [60, 25, 90, 85, 90]  # WORN, written as turned
    entries = packed(replace(row, box=(75, 25, 105, 85, 90))).entries
    assert entries["person.jpg"] == packed(row).entries["person.jpg"]
    sample = {"__key__": "k", "__url__": "x.tar", **entries}
    triplet = decode(sample, describe(sample))
    assert triplet.box == (45, 40, 105, 70) and triplet.oriented_box == (60, 25, 90, 85, 90)


def test_an_oriented_box_that_cuts_the_mask_is_a_problem(row: Row) -> None:
    result = encode_row(replace(row, box=(60, 40, 120, 70, 45)), Encoding())
    assert isinstance(result, Problem) and result.rule == "box_without_mask"
