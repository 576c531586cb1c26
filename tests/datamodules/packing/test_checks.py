import pytest
from PIL import Image

from datamodules.packing.checks import area_share, border_share, check_extent, check_mask, fit_box, fit_oriented_box
from datamodules.packing.rules import RowError
from ornament_lit.imaging.geometry import Box, bounding_box

AROUND: Box = (20.0, 30.0, 60.0, 50.0)


def mask(box: tuple[int, int, int, int], inside: int = 255, outside: int = 0) -> Image.Image:
    image = Image.new("L", (100, 80), outside)
    image.paste(inside, box)
    return image


def test_shares_are_counted() -> None:
    assert area_share(mask((0, 0, 50, 80))) == 0.5
    # Of 2 * 100 + 2 * 78 outermost pixels, the left column and half of the upper and lower row.
    assert border_share(mask((0, 0, 50, 80))) == pytest.approx((2 * 50 + 78) / 356)
    assert border_share(mask((1, 1, 99, 79))) == 0.0


def test_a_good_mask_gives_its_box() -> None:
    assert check_mask(mask((20, 30, 60, 50)), (100, 80), "wearing", "m.png") == AROUND


@pytest.mark.parametrize(
    ("image", "size", "rule", "value"),
    [
        (mask((20, 30, 60, 50)), (100, 81), "mask_size", "100x80, its photograph is upright 100x81"),
        (mask((20, 30, 60, 50)), (80, 100), "mask_size", "on its side"),
        (mask((20, 30, 60, 50), inside=1), (100, 80), "empty_mask", "greatest value 1"),
        (mask((20, 30, 60, 50), inside=0, outside=255), (100, 80), "inverted_mask", "100%"),
        (mask((2, 2, 99, 79)), (100, 80), "mask_area", "93"),
        (mask((20, 30, 22, 32)), (100, 80), "mask_area", "0.05"),
    ],
)
def test_bad_masks(image: Image.Image, size: tuple[int, int], rule: str, value: str) -> None:
    with pytest.raises(RowError, match=value) as caught:
        check_mask(image, size, "ornament", "m.png")
    assert (caught.value.rule, caught.value.file) == (rule, "m.png")


def test_extent() -> None:
    check_extent((0, 0, 32, 2), 32, "a.jpg")
    with pytest.raises(RowError, match="31 pixels of 32"):
        check_extent((0, 0, 31, 2), 32, "a.jpg")


@pytest.mark.parametrize(
    ("given", "box"),
    [
        (None, AROUND),
        ((10, 20, 70, 60), (10, 20, 70, 60)),
        ((22, 30, 60, 50), AROUND),  # two pixels short: moved outwards
        ((-50, 20, 70, 90), (0, 20, 70, 80)),
    ],
)
def test_boxes_that_fit(given: Box | None, box: Box) -> None:
    assert fit_box(given, AROUND, (100, 80)) == box


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ((100, 0, 120, 40), "box_outside"),
        ((23, 30, 60, 50), "box_without_mask"),
        ((20, 30, 57, 50), "box_without_mask"),
    ],
)
def test_boxes_that_do_not(given: Box, rule: str) -> None:
    with pytest.raises(RowError) as caught:
        fit_box(given, AROUND, (100, 80))
    assert caught.value.rule == rule


def test_a_box_much_larger_than_the_mask() -> None:
    with pytest.raises(RowError, match="loose_box"):
        fit_box((0, 0, 161, 50), AROUND, (1000, 800))
    assert fit_box((0, 0, 160, 50), AROUND, (1000, 800)) == (0, 0, 160, 50)


def test_an_oriented_box_is_compared_with_the_mask_in_its_own_directions() -> None:
    upright = mask((30, 10, 50, 50))
    box, around = fit_oriented_box((20, 20, 60, 40, 90), upright)
    assert box == pytest.approx((20, 20, 60, 40, 90)) and around == pytest.approx((30, 10, 50, 50))
    box, around = fit_oriented_box((22, 20, 60, 40, 90), upright)  # two pixels short above: moved outwards
    assert bounding_box(box) == pytest.approx((30, 10, 51, 51), abs=1.01) and around[1] == pytest.approx(10)
    for given, rule in (
        ((20, 20, 60, 40, 0), "box_without_mask"),
        ((200, 20, 260, 40, 90), "box_outside"),
        ((-70, 15, 150, 45, 90), "loose_box"),
    ):
        with pytest.raises(RowError) as caught:
            fit_oriented_box(given, upright)
        assert caught.value.rule == rule
