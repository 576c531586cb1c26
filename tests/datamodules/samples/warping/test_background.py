import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from datamodules.samples.warping.background import fill, without_ornament


def test_a_plain_colour_grows_over_the_ornament_and_its_surroundings() -> None:
    person, mask = Image.new("RGB", (90, 70), (180, 140, 100)), Image.new("L", (90, 70))
    ImageDraw.Draw(person).rectangle((19, 19, 51, 41), fill=(0, 255, 0))  # a pixel more than its mask
    ImageDraw.Draw(mask).rectangle((20, 20, 50, 40), fill=255)
    before = person.tobytes()
    filled = np.array(without_ornament(person, mask)).astype(int)
    assert np.abs(filled - [180, 140, 100]).max() <= 1
    assert person.tobytes() == before


def test_far_from_the_ornament_nothing_changes() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    mask = Image.new("L", (64, 64))
    mask.paste(255, (0, 50, 10, 64))
    filled = np.array(without_ornament(Image.fromarray(noise), mask))
    np.testing.assert_array_equal(filled[:47], noise[:47])
    np.testing.assert_array_equal(filled[:, 13:], noise[:, 13:])
    assert (filled[52:, :8] != noise[52:, :8]).any()


def test_a_faint_mask_hides_nothing() -> None:
    person = Image.new("RGB", (8, 8), (1, 2, 3))
    assert without_ornament(person, Image.new("L", (8, 8), 20)) is person


def test_all_covered_is_black_and_no_error() -> None:
    filled = without_ornament(Image.new("RGB", (9, 7), (50, 60, 70)), Image.new("L", (9, 7), 255))
    assert filled.getextrema() == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("side", [16, 17])
def test_a_ramp_is_carried_on_within_its_ends(side: int) -> None:
    ramp = torch.linspace(0, 1, side).expand(1, 3, side, side).contiguous()
    known = torch.ones(1, 1, side, side)
    known[..., 5:11, 5:11] = 0
    filled = fill(ramp, known)
    assert torch.equal(filled[..., 0, :], ramp[..., 0, :])
    assert filled.min() >= 0 and filled.max() <= 1
    assert (filled - ramp).abs().max() < 0.2
