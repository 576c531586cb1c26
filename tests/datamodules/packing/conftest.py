"""A small shop: drawn photographs with masks, and a manifest."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

TYPES = ("bracelet", "ring", "earring", "necklace")
WORN = (60, 40, 120, 70)


def draw(folder: Path, name: str, box: tuple[int, int, int, int], colour: tuple[int, int, int]) -> None:
    inner = (box[0], box[1], box[2] - 1, box[3] - 1)
    photograph, mask = Image.new("RGB", (200, 120), (190, 150, 130)), Image.new("L", (200, 120))
    ImageDraw.Draw(photograph).ellipse(inner, fill=colour)
    ImageDraw.Draw(mask).ellipse(inner, fill=255)
    photograph.save(folder / f"{name}.jpg", quality=95, subsampling=0)
    mask.save(folder / f"{name}_mask.png")


@pytest.fixture
def write_manifest() -> Callable[..., Path]:
    def write(path: Path, rows: list[dict[str, str]]) -> Path:
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return path

    return write


@pytest.fixture
def shop(tmp_path: Path, write_manifest: Callable[..., Path]) -> list[dict[str, str]]:
    """Rows of ``shop/manifest.csv``: twelve triplets of 200x120 pixels, the types in turn, worn in :data:`WORN`."""
    folder = tmp_path / "shop"
    folder.mkdir()
    rows = []
    for index in range(12):
        draw(folder, f"o{index}", (50, 20, 150, 100), (20 * index, 40, 20))
        draw(folder, f"p{index}", WORN, (20 * index, 40, 20))
        row = {"key": f"k{index}", "type": TYPES[index % 4], "ornament": f"o{index}.jpg", "person": f"p{index}.jpg"}
        rows.append(
            row | {"ornament_mask": f"o{index}_mask.png", "wearing_mask": f"p{index}_mask.png", "sku": f"S{index}"}
        )
    write_manifest(folder / "manifest.csv", rows)
    return rows
