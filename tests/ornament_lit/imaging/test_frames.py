"""Coordinates, rectangles and anchors against answers known by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from ornament_lit.imaging.frames import (
    anchor_chances,
    anchor_maps,
    apply_affine,
    mask_frame,
    mean_slopes,
    pixel_grid,
)


def field_of(linear: torch.Tensor, size: int = 24) -> torch.Tensor:
    grid = pixel_grid((size, size), linear).expand(len(linear), -1, -1, -1)
    return apply_affine(linear, torch.full((len(linear), 2), 0.3), grid)


def test_the_grid_is_that_of_grid_sample() -> None:
    whole = F.affine_grid(torch.eye(2, 3)[None], [1, 1, 5, 7], align_corners=False)
    torch.testing.assert_close(pixel_grid((5, 7), torch.zeros(())), whole[0].permute(2, 0, 1))


def test_the_frame_of_a_rectangle() -> None:
    mask = torch.zeros(2, 1, 8, 10)
    mask[0, :, 2:5, 3:9] = 1
    mask[0, :, 0, 0] = 0.3  # too little to count
    mask[1, :, 7, 9] = 0.31
    centre, half = mask_frame(mask)
    torch.testing.assert_close(centre, torch.tensor([[0.2, -0.125], [0.9, 0.875]]))
    torch.testing.assert_close(half, torch.tensor([[0.6, 0.375], [0.1, 0.125]]))


def test_the_frame_of_nothing_is_the_whole_window_and_that_of_a_pixel_is_no_point() -> None:
    centre, half = mask_frame(torch.zeros(1, 1, 6, 9))
    torch.testing.assert_close(centre, torch.zeros(1, 2))
    torch.testing.assert_close(half, torch.ones(1, 2))
    point = torch.zeros(1, 1, 64, 64)
    point[..., 20, 30] = 1
    centre, half = mask_frame(point)
    torch.testing.assert_close(centre, pixel_grid((64, 64), point)[None, :, 20, 30])
    torch.testing.assert_close(half, torch.full((1, 2), 0.05))


@pytest.mark.parametrize("turns", [1, 4, 8])
def test_anchors_are_turns_and_their_mirrored_twins(turns: int) -> None:
    maps = anchor_maps(turns)
    assert maps.shape == (2 * turns, 2, 2)
    torch.testing.assert_close(maps @ maps.transpose(1, 2), torch.eye(2).expand_as(maps))
    torch.testing.assert_close(maps.det(), torch.tensor([1.0] * turns + [-1.0] * turns))
    assert (torch.cdist(maps.flatten(1), maps.flatten(1)) + 9 * torch.eye(2 * turns)).min() > 0.5
    angle = 2 * math.pi / turns
    torch.testing.assert_close(
        maps[1 % turns] @ torch.tensor([1.0, 0.0]), torch.tensor([math.cos(angle), math.sin(angle)])
    )


def test_the_slopes_of_an_affine_field_are_its_map_wherever_it_is_known() -> None:
    linear = torch.tensor([[[0.5, -0.2], [1.0, 0.3]]])
    weight = torch.zeros(1, 1, 24, 24)
    weight[..., 3:7, 2:20] = 0.4
    torch.testing.assert_close(mean_slopes(field_of(linear), weight), linear)


def test_jumps_between_the_sides_of_a_piece_are_no_slopes() -> None:
    linear = torch.tensor([[[0.5, -0.2], [1.0, 0.3]]])
    field = field_of(linear)
    field[..., 12:] += 0.9
    torch.testing.assert_close(mean_slopes(field, torch.ones(1, 1, 24, 24)), linear)


def test_which_way_a_bow_bulges_does_not_matter() -> None:
    """Half a ring, laid upright, worn flat: along the bow and across it, up to the bow itself."""
    x, y = pixel_grid((64, 64), torch.zeros(())).unbind(0)
    for bulge in (-0.4, 0.4):
        across = (y - bulge * (1 - x**2)) / 0.1
        angle = math.pi / 2 * x
        radius = 0.8 + 0.1 * across
        field = torch.stack([radius * angle.sin(), radius * angle.cos()])[None]
        known = ((across.abs() < 1) & (x.abs() < 0.9)).float()[None, None]
        assert anchor_chances(field, known, anchor_maps(8)).argmax() == 0


@pytest.mark.parametrize("turns", [4, 8])
def test_the_anchor_that_made_a_field_is_found(turns: int) -> None:
    maps = anchor_maps(turns)
    weight = torch.zeros(2 * turns, 1, 24, 24)
    weight[:, :, 4:20, 9:16] = 0.7
    chances = anchor_chances(field_of(1.7 * maps), weight, maps)
    assert chances.argmax(1).tolist() == list(range(2 * turns)) and chances.amax(1).min() > 0.5
    torch.testing.assert_close(chances.sum(1), torch.ones(2 * turns))


def test_chances_are_even_where_nothing_is_known() -> None:
    chances = anchor_chances(torch.zeros(1, 2, 8, 8), torch.zeros(1, 1, 8, 8), anchor_maps(4))
    torch.testing.assert_close(chances, torch.full((1, 8), 1 / 8))


def test_autocast_does_not_round_coordinates() -> None:
    linear, shift, points = torch.randn(2, 2, 2), torch.randn(2, 2), torch.randn(2, 2, 5, 6)
    expected = torch.einsum("bij,bjhw->bihw", linear, points) + shift[:, :, None, None]
    with torch.autocast("cpu", torch.bfloat16):
        mapped = apply_affine(linear, shift, points)
    assert mapped.dtype == torch.float32
    torch.testing.assert_close(mapped, expected)
