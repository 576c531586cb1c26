"""Square windows of photographs as tensors."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from PIL import Image

from ornament_lit.imaging.crops import (
    crop_ornament,
    crop_person,
    crop_settings_of,
    crop_wide_view,
    image_to_tensor,
    tensor_to_image,
    tensor_to_mask,
)
from ornament_lit.imaging.geometry import Crop


def test_an_ornament_fills_its_window_whatever_surrounds_it(tmp_path: Path) -> None:
    picture = Image.new("RGB", (200, 100), "white")
    picture.paste((0, 0, 0), (120, 20, 160, 60))
    mask = Image.new("L", picture.size)
    mask.paste(255, (120, 20, 160, 60))
    picture.save(tmp_path / "a.png")
    window = crop_ornament(tmp_path / "a.png", mask, 48)
    assert window.image.shape == (3, 48, 48) and window.mask.shape == (1, 48, 48)
    assert torch.equal(window.mask[0, 4:44, 4:44], torch.ones(40, 40)), "40 of 48 pixels: the factor is 1.2"
    assert window.mask.sum() == 1600
    assert torch.equal(window.image, 1 - 2 * window.mask.expand(3, -1, -1))
    assert torch.equal(crop_ornament(picture, None, 48).mask, window.mask)


def test_the_window_of_training_and_that_of_a_user_are_the_same() -> None:
    picture = Image.effect_noise((90, 80), 60).convert("RGB")
    window = crop_person(picture, (30, 20, 50, 60), 32, 1.5)
    assert tuple(window.crop) == (10, 10, 60)
    assert torch.equal(window.image, image_to_tensor(picture, window.crop, 32))
    assert window.box_mask.sum() == 10 * 22


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "I;16"])
def test_a_photograph_keeps_its_mode_and_the_network_sees_colours(mode: str) -> None:
    grey = Image.effect_noise((40, 40), 60)
    picture = grey.point(lambda value: value * 257).convert("I;16") if mode == "I;16" else grey.convert(mode)
    window = crop_person(picture, (10, 10, 30, 30), 30, 1.5)
    assert window.photograph.mode == mode
    expected = crop_person(grey.convert("RGB"), (10, 10, 30, 30), 30, 1.5).image
    if mode != "I;16":
        assert torch.equal(window.image, expected)
    assert window.image.shape == (3, 30, 30)
    assert crop_ornament(picture, Image.new("L", (40, 40), 255), 30).image.shape == (3, 30, 30)


def test_tensors_become_pictures_again() -> None:
    values = torch.arange(48, dtype=torch.uint8).view(3, 4, 4) * 5
    picture = tensor_to_image(values.float() / 127.5 - 1)
    assert picture.mode == "RGB" and picture.getpixel((1, 2)) == tuple(values[:, 2, 1].tolist())
    assert tensor_to_mask(torch.tensor([[[0.0, 0.5, 1.0, 7.0]]])).tobytes() == bytes([0, 128, 255, 255])


def test_a_wider_view_shows_the_same_box_smaller() -> None:
    picture = Image.effect_noise((300, 300), 60).convert("RGB")
    window = crop_person(picture, (130, 130, 170, 170), 40, 1.5)
    view = crop_wide_view(window, 2.0)
    assert view["factor"] == 2 and view["image"].shape == (3, 40, 40) and view["box_mask"].shape == (1, 40, 40)
    assert (window.box_mask.sum(), view["box_mask"].sum()) == (26**2, 14**2)  # of 26.7 and 13.3 pixels a side
    assert torch.equal(view["image"], image_to_tensor(picture, Crop(90, 90, 120), 40))


def test_an_ornament_is_shown_at_any_resolution() -> None:
    picture = Image.effect_noise((100, 100), 60).convert("RGB")
    window = crop_ornament(picture, Image.new("L", (100, 100), 255), 30)
    again, larger = window.at(30), window.at(120)
    assert torch.equal(again[0], window.image) and torch.equal(again[1], window.mask)
    assert larger[0].shape == (3, 120, 120) and larger[1].shape == (1, 120, 120)
    assert torch.equal(larger[0][:, 10:110, 10:110], image_to_tensor(picture, Crop(0, 0, 100), 100))


def test_a_turned_box_is_cropped_by_its_bounds_and_drawn_within() -> None:
    picture = Image.effect_noise((90, 80), 60).convert("RGB")
    upright, turned = (crop_person(picture, box, 60, 1.5) for box in ((30, 20, 50, 60), (20, 30, 60, 50, 90)))
    assert (turned.box, turned.crop) == (upright.box, upright.crop) and torch.equal(turned.image, upright.image)
    assert upright.input_mask is None and turned.input_mask is not None
    assert torch.equal(turned.input_mask, upright.box_mask) and torch.equal(turned.box_mask, upright.box_mask)


def test_a_turned_box_partly_outside_counts_within_the_photograph() -> None:
    picture = Image.new("RGB", (90, 80))
    with pytest.warns(UserWarning, match="leaves the image"):
        window = crop_person(picture, (-20, 30, 20, 50, 45), 120, 1.5)
    assert window.box[0] == 0 and window.input_mask is not None
    assert (window.input_mask <= window.box_mask).all()
    area = window.input_mask.sum() * (window.crop.size / 120) ** 2
    assert area == pytest.approx(400, rel=0.05), "half of 40 x 20 pixels"


def test_a_turned_box_too_thin_for_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="make it wider"):
        crop_person(Image.new("RGB", (1000, 1000)), (100.4, 500.2, 900.4, 502.4, 90), 16, 1.5)


def test_a_square_that_memory_would_not_do_for_is_refused() -> None:
    wide = Image.new("RGB", (40_000, 16))
    with pytest.raises(
        ValueError, match=r"looked at in the person's image must have at most 32768 .* got 60000; scale"
    ):
        crop_person(wide, (0, 0, 40_000, 16), 16, 1.5)
    with pytest.raises(ValueError, match=r"looked at in the ornament's image .* got 48000; scale the image down"):
        crop_ornament(wide, Image.new("L", wide.size, 255), 16)
    assert crop_person(wide, (0, 0, 100, 16), 16, 1.5).crop.size == 150


def test_settings_of_crops_are_those_that_a_data_module_has() -> None:
    data = SimpleNamespace(resolution=64, crop_factor=1.5, wide_view=None, bare=0.0, batch_size=4)
    assert crop_settings_of(data) == {"resolution": 64, "crop_factor": 1.5, "bare": 0.0}
    assert crop_settings_of(None) == {}
