"""Fields that are carried on: what is affine stays affine, what is known stays known."""

import pytest
import torch
from scipy.ndimage import gaussian_filter

from ornament_lit.imaging.frames import apply_affine, pixel_grid
from ornament_lit.models.warps.extension import extend_field, gaussian_window

SIZE = 32


def similarity(mirrored: bool) -> torch.Tensor:
    turn = torch.tensor([[0.6, -0.5], [0.5, 0.6]])
    linear = turn @ torch.diag(torch.tensor([-1.0, 1.0])) if mirrored else turn
    return apply_affine(linear[None], torch.tensor([[0.2, -0.1]]), pixel_grid((SIZE, SIZE), turn)[None])


def patch(top: int, left: int, size: int = 8) -> torch.Tensor:
    weight = torch.zeros(1, 1, SIZE, SIZE)
    weight[..., top : top + size, left : left + size] = 0.8
    return weight


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("place", [(12, 12), (2, 20)])
def test_a_patch_of_a_similarity_is_carried_on_everywhere(mirrored: bool, place: tuple[int, int]) -> None:
    field, weight = similarity(mirrored), patch(*place)
    extended = extend_field(field * (weight > 0), weight)
    torch.testing.assert_close(extended, field, atol=4e-3, rtol=0)


def test_a_smooth_field_keeps_its_values_where_it_is_known() -> None:
    x, y = pixel_grid((SIZE, SIZE), torch.zeros(()))
    field = similarity(False) + 0.05 * torch.stack([(3 * y).sin(), (2 * x).cos()])[None]
    weight = patch(6, 6, 20)
    extended = extend_field(field * (weight > 0), weight)
    assert (extended - field)[..., 8:24, 8:24].abs().max() < 0.01


def test_a_row_of_which_nothing_is_known_is_constant_and_disturbs_no_other() -> None:
    field, weight = similarity(False), patch(12, 12)
    both = extend_field(torch.cat([field, torch.zeros_like(field)]), torch.cat([weight, torch.zeros_like(weight)]))
    assert both.isfinite().all() and both[1].std() < 1e-6
    torch.testing.assert_close(both[:1], extend_field(field, weight))


def test_fields_stay_bounded() -> None:
    weight = patch(0, 0, 4)
    assert extend_field(3 * similarity(False), weight).abs().max() <= 2


@pytest.mark.parametrize("deviation", [1.0, 2.0])
def test_the_window_is_that_of_scipy(deviation: float) -> None:
    image = torch.randn(1, 2, 20, 24)
    expected = [gaussian_filter(channel, deviation, mode="constant", truncate=3) for channel in image[0].numpy()]
    got = gaussian_window(image, deviation)[0]
    for channel, values in zip(got, expected, strict=True):
        torch.testing.assert_close(channel, torch.from_numpy(values), atol=1e-5, rtol=1e-5)
