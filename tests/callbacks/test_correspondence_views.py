"""Images of a correspondence, with colours known beforehand."""

import colorsys

import pytest
import torch

from callbacks.correspondence_views import COLUMNS, correspondence_views, grid_points, point_colours
from callbacks.sample_strips import columns_of

SIZE = 16


def test_points_of_a_grid_sample_the_picture_itself() -> None:
    picture = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0)) * 2 - 1
    warp, *_ = correspondence_views(grid_points(picture), torch.ones(2, 1, SIZE, SIZE), picture, torch.ones(2, 1, 1, 1))
    assert torch.allclose(warp, picture, atol=1e-5)


@pytest.mark.parametrize(("u", "v"), [(-1, -1), (-0.3, -1), (0.4, 0.2), (1, 1), (3, -2)])
def test_colours_are_hues_by_u_and_get_darker_by_v(u: float, v: float) -> None:
    colour = point_colours(torch.tensor([u, v], dtype=torch.float32).view(1, 2, 1, 1)).flatten().tolist()
    across, down = ((max(-1.0, min(1.0, place)) + 1) / 2 for place in (u, v))
    assert colour == pytest.approx(colorsys.hsv_to_rgb(0.85 * across, 1, 1 - 0.75 * down), abs=1e-5)


def test_pixel_and_its_point_have_one_colour() -> None:
    """A worn pixel that shows the point in row 3, column 12 has the hue of that pixel of a white ornament."""
    white = torch.ones(1, 3, SIZE, SIZE)
    worn = torch.zeros(1, 1, SIZE, SIZE)
    worn[..., 5, 5] = 1
    points = grid_points(white)[..., 3:4, 12:13].expand(-1, -1, SIZE, SIZE)
    warp, mask, here, there = correspondence_views(points, worn, white, torch.ones(1, 1, SIZE, SIZE))
    assert torch.allclose(here[..., 5, 5], there[..., 3, 12], atol=1e-6)
    assert (here[..., 0, 0] == -1).all() and (mask[..., 5, 5] == 1).all() and (warp == 1).all()
    assert here.shape == there.shape == mask.shape == (1, 3, SIZE, SIZE)


def test_strips_tell_their_columns_by_their_number() -> None:
    assert [len(columns_of(count)) for count in (4, 6, 8, 10)] == [4, 6, 8, 10]
    assert columns_of(8)[4:] == COLUMNS and columns_of(6)[4:] == ("wrong ornament", "its try-on")
    assert columns_of(10)[4:] == (*columns_of(6)[4:], *COLUMNS)
