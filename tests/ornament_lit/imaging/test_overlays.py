"""Overlays show values where they are, and a point of the ornament in one colour wherever it is."""

import numpy as np
import pytest
import torch
from PIL import Image

from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.imaging.overlays import CORNER_COLOURS, LARGEST_SHARE, heat_over, point_colours


def test_no_heat_leaves_the_image_and_full_heat_covers_most_of_it() -> None:
    image = Image.new("RGB", (4, 4), (10, 20, 30))
    values = Image.fromarray(np.array([[0, 0, 255, 255]] * 4, dtype=np.uint8))
    over = np.asarray(heat_over(image, values), dtype=float)
    assert (over[:, :2] == (10, 20, 30)).all()
    wanted = LARGEST_SHARE * np.array([255, 230, 128]) + (1 - LARGEST_SHARE) * np.array([10, 20, 30])
    assert np.allclose(over[:, 2:], wanted, atol=1.5)


def test_an_image_of_another_mode_is_seen_in_rgb() -> None:
    assert heat_over(Image.new("L", (3, 3), 7), Image.new("L", (3, 3))).getpixel((1, 1)) == (7, 7, 7)


def test_own_points_are_the_centres_of_pixels() -> None:
    points = pixel_grid((4, 4), torch.empty(0))
    assert points.shape == (2, 4, 4)
    assert points[0, 2].tolist() == [-0.75, -0.25, 0.25, 0.75] and points[1, :, 1].tolist() == points[0, 0].tolist()


@pytest.mark.parametrize("corner", range(4))
def test_corners_have_their_colours(corner: int) -> None:
    x, y = (-1.0, 1.0)[corner % 2], (-1.0, 1.0)[corner // 2]
    uv = torch.tensor([x, y]).reshape(2, 1, 1).expand(2, 8, 8)
    image = point_colours(Image.new("RGB", (8, 8)), uv, torch.ones(1, 8, 8))
    assert np.allclose(np.asarray(image)[4, 4] / 255, CORNER_COLOURS[corner], atol=0.01)


def test_a_point_has_one_colour_wherever_it_is_shown() -> None:
    own = np.asarray(
        point_colours(Image.new("RGB", (32, 32)), pixel_grid((32, 32), torch.empty(0)), torch.ones(1, 32, 32))
    )
    mirrored = point_colours(
        Image.new("RGB", (32, 32)), pixel_grid((32, 32), torch.empty(0)).flip(-1), torch.ones(1, 32, 32)
    )
    assert np.array_equal(np.asarray(mirrored), own[:, ::-1])
    assert len({tuple(pixel) for pixel in own.reshape(-1, 3)}) > 500, "other points, other colours"


def test_only_what_is_shown_is_coloured() -> None:
    share = torch.zeros(1, 8, 8)
    share[..., 4:] = 1
    image = np.asarray(point_colours(Image.new("RGB", (8, 8), (1, 2, 3)), pixel_grid((8, 8), torch.empty(0)), share))
    assert (image[:, :4] == (1, 2, 3)).all() and not (image[:, 4:] == (1, 2, 3)).all(-1).any()
