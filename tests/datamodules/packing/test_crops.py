import random

import pytest
from PIL import Image

from datamodules.packing.crops import StoredCrop, crop_around, cut, move_box, move_oriented_box
from datamodules.packing.rules import RowError
from ornament_lit.imaging.geometry import grow_box, mask_to_box, square_crop


def test_a_window_inside_the_photograph() -> None:
    assert crop_around((400, 300, 600, 400), 2.5, (1000, 800), 768) == StoredCrop(250, 100, 750, 600, 500, 500)
    assert crop_around((400, 300, 600, 400), 2.5, (1000, 800), 250) == StoredCrop(250, 100, 750, 600, 250, 250)


def test_a_window_at_the_edge_keeps_its_scale() -> None:
    crop = crop_around((0, 300, 200, 400), 2.5, (1000, 800), 250)
    assert crop == StoredCrop(0, 100, 350, 600, 175, 250)


def test_the_default_factor_leaves_room_for_every_crop_of_training() -> None:
    rng = random.Random(0)
    for _ in range(300):
        x, y, width, height = (rng.uniform(0, 600) + 1 for _ in range(4))
        box = (x, y, x + width, y + height)
        left, top, right, bottom = (rng.uniform(0.0, 0.25) for _ in range(4))
        crop = square_crop(grow_box(box, (left, top, right, bottom)), 1.5)
        stored = crop_around((x + 3000, y + 3000, x + width + 3000, y + height + 3000), 2.5, (9000, 9000), 768)
        assert stored.left <= crop.left + 3001 and stored.right >= crop.left + crop.size + 2999
        assert stored.top <= crop.top + 3001 and stored.bottom >= crop.top + crop.size + 2999


def test_pictures_and_boxes_move_together() -> None:
    mask = Image.new("L", (1000, 800))
    mask.paste(255, (400, 300, 600, 400))
    crop = crop_around((400, 300, 600, 400), 2.5, (1000, 800), 250)
    stored = cut(mask, crop)
    assert stored.size == (250, 250) and mask_to_box(stored) == (75, 100, 175, 150)
    assert move_box((400, 300, 600, 400), crop, stored) == (75, 100, 175, 150)
    assert move_box((380, 300, 600, 440), crop, stored) == (65, 100, 175, 170)


def test_a_mask_that_vanishes_is_told() -> None:
    mask = Image.new("L", (1000, 800))
    mask.paste(255, (0, 400, 1000, 401))
    crop = crop_around((0, 300, 1000, 500), 1.0, (1000, 800), 100)
    with pytest.raises(RowError, match=r"thin_mask: scaled by 0\.100"):
        move_box((0, 300, 1000, 500), crop, cut(mask, crop))


def test_an_oriented_box_moves_with_the_window_and_keeps_its_angle() -> None:
    mask = Image.new("L", (1000, 800))
    mask.paste(255, (480, 340, 520, 360))
    crop = crop_around((400, 300, 600, 400), 2.5, (1000, 800), 250)
    stored = cut(mask, crop)
    assert move_oriented_box((400, 300, 600, 400, 30), crop, stored) == (75, 100, 175, 150, 30)
    assert move_oriented_box((490, 345, 510, 355, 0), crop, stored) == (115, 120, 135, 130, 0), "around the mask"
