import pytest
import torch
from PIL import Image

from ornament_lit.geometry import (
    Crop,
    clip_box,
    crop_and_resize,
    draw_box,
    grow_box,
    mask_to_box,
    square_crop,
)


def test_each_side_grows_by_its_own_fraction() -> None:
    assert grow_box((10, 20, 30, 60), (0.1, 0.25, 0.5, 0.0)) == (8, 10, 40, 60)


def test_a_box_is_clipped_to_the_image() -> None:
    assert clip_box((-5, 2, 70, 30.5), 64, 32) == (0, 2, 64, 30.5)


@pytest.mark.parametrize("box", [(64, 0, 70, 10), (-5, 0, 0, 10), (5, 5, 5, 9)])
def test_a_box_without_area_in_the_image_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="64x32"):
        clip_box(box, 64, 32)


def test_the_square_has_the_centre_and_the_longer_side() -> None:
    assert square_crop((10, 20, 30, 60), 1.5) == Crop(left=-10, top=10, size=60)


def test_the_square_is_never_clipped() -> None:
    assert square_crop((0, 0, 10, 10), 2.0) == Crop(-5, -5, 20)


def test_outside_the_image_is_fill_and_inside_is_copied() -> None:
    image = Image.new("RGB", (4, 4), (10, 20, 30))
    window = crop_and_resize(image, Crop(-2, 0, 4), 4, fill=128)
    assert [window.getpixel((x, 0)) for x in range(4)] == [(128,) * 3] * 2 + [(10, 20, 30)] * 2


def test_shrinking_averages_and_does_not_skip() -> None:
    stripes = Image.new("L", (32, 32))
    for x in range(0, 32, 2):
        stripes.paste(255, (x, 0, x + 1, 32))
    small = crop_and_resize(stripes, Crop(0, 0, 32), 4, fill=0)
    assert all(abs(small.getpixel((x, 2)) - 127) < 12 for x in (1, 2))


@pytest.mark.parametrize(("bottom", "last_row"), [(6.5, 2), (7.5, 3)])
def test_a_drawn_box_covers_each_pixel_whose_centre_lies_in_it(bottom: float, last_row: int) -> None:
    mask = draw_box((2, 4, 6, bottom), Crop(0, 0, 16), 8)
    expected = torch.zeros(1, 8, 8)
    expected[:, 2 : last_row + 1, 1:3] = 1
    assert torch.equal(mask, expected)


def test_a_drawn_box_is_cut_at_the_window() -> None:
    assert torch.equal(draw_box((-9, -9, 99, 99), Crop(0, 0, 16), 8), torch.ones(1, 8, 8))
    assert draw_box((-9, -9, -1, -1), Crop(0, 0, 16), 8).sum() == 0


def test_the_drawn_box_follows_the_window() -> None:
    box = (10.0, 12.0, 18.0, 20.0)
    mask = draw_box(box, square_crop(box, 2.0), 16)
    assert mask.nonzero().amin(0).tolist() == [0, 4, 4] and mask.nonzero().amax(0).tolist() == [0, 11, 11]


def test_box_of_a_mask() -> None:
    mask = Image.new("L", (20, 10))
    mask.paste(127, (0, 0, 20, 10))
    mask.paste(128, (3, 4, 7, 9))
    assert mask_to_box(mask) == (3, 4, 7, 9)


def test_a_faint_mask_has_no_box() -> None:
    assert mask_to_box(Image.new("L", (4, 4), 127)) is None
