import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ornament_lit.geometry import (
    Crop,
    check_box,
    clip_box,
    crop_and_resize,
    draw_box,
    grow_box,
    mask_to_box,
    square_crop,
    uncrop,
    visible_part,
    widen_crop,
)


def test_each_side_grows_by_its_own_fraction() -> None:
    assert grow_box((10, 20, 30, 60), (0.1, 0.25, 0.5, 0.0)) == (8, 10, 40, 60)


def test_a_box_is_clipped_to_the_image() -> None:
    assert clip_box((-5, 2, 70, 30.5), 64, 32) == (0, 2, 64, 30.5)


@pytest.mark.parametrize("box", [(64, 0, 70, 10), (-5, 0, 0, 10), (5, 5, 5, 9)])
def test_a_box_without_area_in_the_image_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="64x32"):
        clip_box(box, 64, 32)


@pytest.mark.parametrize("box", [(0, 0, 64, 32), (3.5, 4, 5, 5)])
def test_a_box_in_the_image_is_taken_as_it_is(box: tuple[float, float, float, float]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_box(box, 64, 32) == box


def test_a_box_partly_outside_is_clipped_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"leaves the image: \[0.*, 2.*, 64.*, 30\.5\] of it are used"):
        assert check_box((-5, 2, 70, 30.5), 64, 32) == (0, 2, 64, 30.5)


NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((30, 2, 10, 20), "x0 < x1"),
        ((3, 20, 10, 20), "y0 < y1"),
        ((NAN, 0, 9, 9), "nan"),
        ((0, 0, INFINITY, 9), "inf"),
        ((64, 0, 70, 10), "64x32"),
        ((-9, 0, 0.5, 10), "cover a pixel"),
        ((3, 3, 3.5, 9), "cover a pixel"),
    ],
)
def test_a_box_that_cannot_be_meant_is_refused(box: tuple[float, float, float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_box(box, 64, 32)


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


def noise(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    bands = len(mode)
    return Image.frombytes(mode, (width, height), np.random.default_rng(seed).bytes(width * height * bands))


@given(st.data(), st.sampled_from(["L", "RGB"]), st.integers(1, 80), st.integers(1, 80), st.integers(1, 120))
@settings(max_examples=100, deadline=None)
def test_a_crop_that_is_not_resized_is_undone_exactly(
    data: st.DataObject, mode: str, width: int, height: int, size: int
) -> None:
    left, top = (data.draw(st.integers(1 - size, side - 1)) for side in (width, height))
    image, crop = noise(mode, width, height, size), Crop(left, top, size)
    part = image.crop(visible_part(crop, width, height))
    back = uncrop(crop_and_resize(image, crop, size, fill=128), crop, width, height)
    assert back.size == part.size and back.tobytes() == part.tobytes()


@pytest.mark.parametrize(
    ("crop", "resolution"), [(Crop(-20, 10, 90), 45), (Crop(-20, 10, 90), 128), (Crop(5, 5, 30), 60)]
)
def test_a_resized_crop_is_undone_but_for_detail(crop: Crop, resolution: int) -> None:
    x = np.tile(np.linspace(0, 250, 64), (80, 1))
    image = Image.fromarray(x.round().astype(np.uint8))
    back = np.asarray(uncrop(crop_and_resize(image, crop, resolution, fill=128), crop, 64, 80))
    x0, y0, x1, y1 = visible_part(crop, 64, 80)
    error = np.abs(back - x[y0:y1, x0:x1])
    assert error[:, 4:-4].max() <= 2 and error.max() <= 10


@pytest.mark.parametrize("resolution", [17, 45, 64, 89, 90, 91, 200])
def test_the_filling_does_not_bleed_in_at_the_border(resolution: int) -> None:
    image = Image.new("L", (64, 80), 200)
    crop = Crop(-20, 10, 90)
    low, high = uncrop(crop_and_resize(image, crop, resolution, fill=0), crop, 64, 80).getextrema()
    assert low >= 200 - 0.03 * 200 and high <= 200 + 0.03 * 200


def test_uncrop_knows_where_things_were() -> None:
    dot = np.zeros((8, 8), np.uint8)
    dot[2, 6] = 200
    back = np.asarray(uncrop(Image.fromarray(dot), Crop(-8, 4, 16), 30, 18, Image.Resampling.NEAREST))
    assert back.shape == (14, 8) and np.argwhere(back).tolist() == [[4, 4], [4, 5], [5, 4], [5, 5]]


@pytest.mark.parametrize("crop", [Crop(64, 0, 9), Crop(-9, 0, 9), Crop(0, 80, 9), Crop(0, -9, 9)])
def test_a_window_outside_the_image_is_refused(crop: Crop) -> None:
    with pytest.raises(ValueError, match="64x80 pixels"):
        uncrop(Image.new("L", (9, 9)), crop, 64, 80)


def test_what_is_put_back_must_be_square() -> None:
    with pytest.raises(ValueError, match="9x8"):
        uncrop(Image.new("L", (9, 8)), Crop(0, 0, 9), 64, 80)


def test_a_wider_window_keeps_the_centre() -> None:
    assert widen_crop(Crop(10, 20, 100), 1.8) == Crop(-30, -20, 180)
    odd = widen_crop(Crop(0, 0, 5), 1.5)
    assert odd.size == 8 and abs(odd.left + odd.size / 2 - 2.5) <= 1
    assert widen_crop(Crop(3, 4, 7), 0.5) == Crop(3, 4, 7), "never smaller"
