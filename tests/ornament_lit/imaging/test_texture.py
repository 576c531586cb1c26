"""What is sampled: colours beside the ornament are still its colours."""

import pytest
import torch

from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.imaging.texture import sample_texture, spread_colours


def disc(size: int = 32, hole: float = 0.0) -> torch.Tensor:
    """As large in its window as that of an ornament is cut out."""
    radius = pixel_grid((size, size), torch.zeros(())).norm(dim=0)[None, None]
    return ((radius < 0.83) & (radius > hole)).float()


def test_what_is_covered_stays() -> None:
    image, mask = torch.rand(2, 3, 32, 32) * 2 - 1, torch.rand(2, 1, 32, 32)
    mask[:, :, :16] = (mask[:, :, :16] + 1) / 2
    covered = (mask > 2 / 3).expand_as(image)
    torch.testing.assert_close(spread_colours(image, mask)[covered], image[covered])


@pytest.mark.parametrize("size", [32, 64, 45])
@pytest.mark.parametrize("hole", [0.0, 0.5])
def test_beside_an_ornament_of_one_colour_is_that_colour(size: int, hole: float) -> None:
    colour = torch.tensor([0.8, -0.3, 0.1]).view(1, 3, 1, 1)
    mask = disc(size, hole)
    image = torch.where(mask > 0, colour, torch.rand(1, 3, size, size) * 2 - 1)
    spread = spread_colours(image, mask)
    beside = torch.nn.functional.max_pool2d(mask, 5, 1, 2)
    assert ((spread - colour).abs() * beside).max() < 0.02


@pytest.mark.parametrize("pixels", [0, 1, 3])
@pytest.mark.parametrize("size", [2, 4, 32])
def test_masks_of_a_few_pixels_are_no_trouble(pixels: int, size: int) -> None:
    image, mask = torch.rand(1, 3, size, size) * 2 - 1, torch.zeros(1, 1, size, size)
    mask.view(-1)[:pixels] = 1
    spread = spread_colours(image, mask)
    assert spread.isfinite().all() and spread.abs().max() <= 1
    covered = (mask > 0).expand_as(image)
    torch.testing.assert_close(spread[covered], image[covered])


def test_the_identity_field_shows_the_picture_and_a_mirrored_one_its_mirror_image() -> None:
    picture = torch.rand(2, 4, 9, 12)
    grid = pixel_grid((9, 12), picture).repeat(2, 1, 1, 1)
    torch.testing.assert_close(sample_texture(picture, grid), picture)
    mirrored = sample_texture(picture, grid * torch.tensor([-1.0, 1.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(mirrored, picture.flip(3))


def test_beside_the_picture_is_nothing_or_its_border() -> None:
    picture, outside = torch.rand(1, 1, 4, 4), torch.full((1, 2, 1, 1), 1.5)
    assert sample_texture(picture, outside).item() == 0
    assert sample_texture(picture, outside, "border").item() == pytest.approx(float(picture[0, 0, 3, 3]))
