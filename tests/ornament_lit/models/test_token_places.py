import math

import pytest
import torch

from ornament_lit.models.token_places import (
    REACH,
    fourier_features,
    grid_size,
    mask_box,
    relative_places,
    token_centres,
    tokens_at,
)


def test_centres_are_those_that_grid_sample_takes() -> None:
    picture = torch.rand(1, 1, 3, 5)
    sampled = torch.nn.functional.grid_sample(picture, token_centres(3, 5).view(1, 3, 5, 2), align_corners=False)
    torch.testing.assert_close(sampled, picture)
    assert torch.equal(tokens_at(token_centres(3, 5)[None], 3, 5), torch.arange(15)[None])


def test_points_at_the_borders_are_in_the_outermost_tokens() -> None:
    points = torch.tensor([[[-1.0, -1.0], [1.0, 1.0], [1.0, -1.0]]])
    assert tokens_at(points, 2, 4).tolist() == [[0, 7, 3]]


def test_rows_and_columns_follow_the_aspect() -> None:
    assert grid_size(32, torch.zeros(1, 1, 8, 16)) == (4, 8)


def test_the_box_of_a_mask_by_hand() -> None:
    """Columns 1 to 2.5 of 4 and rows 0 to 2 of 4; nothing; everything; one pixel."""
    masks = torch.zeros(4, 1, 4, 4)
    masks[0, :, :2, 1] = 1
    masks[0, :, :2, 2] = 0.5
    masks[2] = 1
    masks[3, :, 3, 3] = 0.25
    expected = [[-0.125, -0.5, 0.375, 0.5], [0, 0, 1, 1], [0, 0, 1, 1], [0.75, 0.75, 0.25, 0.25]]
    torch.testing.assert_close(mask_box(masks), torch.tensor(expected))


def test_places_are_relative_to_centre_and_half_sizes() -> None:
    box = torch.tensor([[0.5, 0.0, 0.25, 0.5]])
    places = relative_places(torch.tensor([[0.5, 0.0], [0.75, -0.5], [-1.0, 1.0]]), box)
    assert places.tolist() == [[[0, 0], [1, -1], [-REACH, 2]]]


def test_fourier_features_by_hand() -> None:
    got = fourier_features(torch.tensor([[[REACH / 2, 0.0]]]), 2)
    expected = [1, math.sin(math.pi), 0, 0, 0, -1, 1, 1]
    assert got.flatten().tolist() == pytest.approx(expected, abs=1e-6)
