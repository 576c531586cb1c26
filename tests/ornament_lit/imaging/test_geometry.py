import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ornament_lit.imaging import geometry
from ornament_lit.imaging.geometry import (
    Crop,
    OrientedBox,
    bounding_box,
    box_corners,
    check_box,
    clip_bounding_box,
    clip_box,
    crop_and_resize,
    draw_box,
    draw_oriented_box,
    extent_along,
    fill_polygon,
    grow_box,
    grow_oriented_box,
    mask_outline,
    mask_to_box,
    oriented,
    read_box,
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


def test_a_large_window_is_averaged_in_blocks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    image, crop = Image.new("RGB", (900, 500), "white"), Crop(-40, 90, 600)
    image.paste((200, 30, 60), (100, 200, 300, 500))
    whole = np.asarray(crop_and_resize(image, crop, 40, fill=128)).astype(int)
    sizes: list[tuple[int, int]] = []
    new = Image.new
    monkeypatch.setattr(geometry, "LARGEST_WINDOW", 160)
    monkeypatch.setattr(geometry.Image, "new", lambda mode, size, fill: sizes.append(size) or new(mode, size, fill))
    averaged = np.asarray(crop_and_resize(image, crop, 40, fill=128)).astype(int)
    assert sizes == [(150, 150)]
    assert np.abs(averaged - whole).mean() < 1 and np.abs(averaged - whole).max() < 60


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


WIDE = (10.0, 20.0, 50.0, 30.0)
"""A box of 40 x 10 pixels around (30, 25)."""


@pytest.mark.parametrize("angle", [0, 180, -180, 360])
def test_a_box_that_is_turned_onto_itself_is_drawn_as_the_box(angle: float) -> None:
    for box in (WIDE, (10.5, 20.25, 49.5, 30.1)):
        assert bounding_box((*box, angle)) == pytest.approx(box, abs=1e-9)
        for window, resolution in ((Crop(0, 0, 60), 60), (Crop(5, -7, 61), 32)):
            drawn = draw_oriented_box((*box, angle), window, resolution)
            assert torch.equal(drawn, draw_box(box, window, resolution))
    assert bounding_box((0.1, 0.2, 0.7, 0.9, 0)) == (0.1, 0.2, 0.7, 0.9), "to the last bit"


@pytest.mark.parametrize("angle", [90, -90, 270])
def test_a_right_angle_swaps_the_sides(angle: float) -> None:
    assert bounding_box((*WIDE, angle)) == (25, 5, 35, 45)
    drawn = draw_oriented_box((*WIDE, angle), Crop(0, 0, 60), 60)
    assert torch.equal(drawn, draw_box((25, 5, 35, 45), Crop(0, 0, 60), 60))


def test_the_angle_goes_clockwise_as_a_viewer_sees_it() -> None:
    assert box_corners((*WIDE, 90)).tolist() == [[35, 5], [35, 45], [25, 45], [25, 5]], "the upper left goes right"
    drawn = draw_oriented_box((*WIDE, 30), Crop(0, 0, 60), 60)[0]
    assert drawn[33, 44] == 1 and drawn[17, 15] == 1, "the right end is below the left one"
    assert drawn[17, 44] == 0 and drawn[33, 15] == 0


def test_a_square_at_45_degrees_is_a_diamond() -> None:
    diamond = (20.0, 20.0, 40.0, 40.0, 45.0)
    half = 10 * 2**0.5
    assert bounding_box(diamond) == pytest.approx((30 - half, 30 - half, 30 + half, 30 + half))
    drawn = draw_oriented_box(diamond, Crop(0, 0, 60), 60)[0]
    y, x = torch.meshgrid(torch.arange(60) + 0.5, torch.arange(60) + 0.5, indexing="ij")
    assert torch.equal(drawn > 0, (x - 30).abs() + (y - 30).abs() < half)


@given(st.floats(-400, 400), st.floats(20, 60), st.floats(20, 60))
@settings(max_examples=50, deadline=None)
def test_a_turned_box_keeps_its_area_in_its_bounds(angle: float, width: float, height: float) -> None:
    box = (50 - width / 2, 50 - height / 2, 50 + width / 2, 50 + height / 2, angle)
    drawn = draw_oriented_box(box, Crop(-20, -20, 140), 280)
    assert drawn.sum() / 4 == pytest.approx(width * height, rel=0.05)
    assert (drawn <= draw_box(bounding_box(box), Crop(-20, -20, 140), 280)).all()


def test_growing_a_turned_box_moves_the_sides_in_its_own_directions() -> None:
    assert grow_oriented_box((*WIDE, 0), (0.1, 0.2, 0.3, 0.4)) == (*grow_box(WIDE, (0.1, 0.2, 0.3, 0.4)), 0)
    grown = grow_oriented_box((*WIDE, 90), (0.25, 0, 0, 0))  # the left side lies above: 10 pixels more there
    assert bounding_box(grown) == pytest.approx((25, -5, 35, 45)) and grown[4] == 90


def test_the_outline_of_a_mask_reaches_as_far_as_its_pixels() -> None:
    mask = Image.new("L", (20, 10))
    mask.paste(128, (3, 4, 7, 9))
    mask.paste(127, (8, 0, 9, 2))
    for box, extent in (((0, 0, 9, 9, 0), (3, 4, 7, 9)), ((0, 0, 10, 10, 90), (4, 3, 9, 7))):
        assert extent_along(mask_outline(mask), box) == pytest.approx(extent)
    line = Image.fromarray(255 * np.eye(40, dtype=np.uint8))
    x0, y0, x1, y1 = extent_along(mask_outline(line), (0, 15, 40, 25, 45))
    assert y1 - y0 == pytest.approx(2**0.5) and x1 - x0 == pytest.approx(40 * 2**0.5)


def test_a_polygon_is_filled_either_way_round() -> None:
    corners = np.array([[0.0, 0], [6, 0], [0, 6]])
    assert fill_polygon(corners, 6, 6).sum() == 21 and fill_polygon(corners[::-1], 6, 6).sum() == 21


def test_a_turned_box_is_cut_at_the_image_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"leaves the image: \[0.*, 0.*, 10\.0, 30\.0\] of it are used"):
        assert check_box((-20, 0, 20, 20, 90), 64, 32) == (0, 0, 10, 30)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check_box((10, 5, 30, 25, 90), 64, 32) == (10, 5, 30, 25)


def test_a_turned_box_beside_the_image_is_refused_though_its_bounds_are_not() -> None:
    beside: OrientedBox = (-20, -5, 20, 5, -45)  # about the upper left corner; it lies above and beyond the diagonal
    moved = (beside[0] - 6, beside[1] - 6, beside[2] - 6, beside[3] - 6, -45.0)
    assert clip_bounding_box(beside, 64, 32)
    assert clip_box(bounding_box(moved), 64, 32)
    with pytest.raises(ValueError, match="area inside the image of 64x32"):
        check_box(moved, 64, 32)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((1, 2, 3), "four numbers x0,y0,x1,y1, or five"),
        ((1, 2, 3, 4, 5, 6), "four numbers x0,y0,x1,y1, or five"),
        (("1", "2", "3", "x"), "four numbers x0,y0,x1,y1, or five"),
        ((1, 2, 3, 4, float("nan")), "angle of a box must be a finite number"),
        ((1, 2, 3, 4, float("inf")), "angle of a box must be a finite number"),
        ((3, 2, 1, 4, 90), "mind the order"),
        ((1, 2, 3, float("inf"), 90), "mind the order"),
    ],
)
def test_numbers_that_are_no_box(numbers: tuple[float, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_box(numbers)


def test_a_box_is_read_with_and_without_an_angle() -> None:
    assert read_box(["1", "2", "3", "4"]) == (1, 2, 3, 4) and oriented(read_box((1, 2, 3, 4))) is None
    assert oriented(read_box(["1", "2", "3", "4", "-30"])) == (1, 2, 3, 4, -30)
