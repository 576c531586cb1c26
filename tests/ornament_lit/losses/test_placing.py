"""Shifts between fields, and what is moved by them."""

import pytest
import torch

from ornament_lit.imaging.frames import pixel_grid
from ornament_lit.losses.placing import FARTHEST, in_doubt, moved, shift_of

SHIFTS = torch.tensor([[0.06, -0.04], [0.0, 0.1]])


def bent(points: torch.Tensor) -> torch.Tensor:
    x, y = points[:, :1], points[:, 1:]
    return torch.cat([1.5 * x + 0.3 * y + 0.2 * x**2, 1.2 * y - 0.3 * x + 0.4 * x**2], dim=1)


@pytest.fixture
def grid() -> torch.Tensor:
    return pixel_grid((64, 64), torch.zeros(1)).expand(2, -1, -1, -1)


def test_a_field_that_lies_beside_its_truth_says_how_far(grid: torch.Tensor) -> None:
    uv, target = bent(grid + SHIFTS[..., None, None]), bent(grid)
    weight = (grid.norm(dim=1, keepdim=True) < 0.5).float()
    torch.testing.assert_close(shift_of(uv, target, weight), SHIFTS, atol=2e-3, rtol=0)
    assert torch.equal(shift_of(target, target, weight), torch.zeros(2, 2))
    assert not shift_of(uv, target, 0 * weight).any(), "nothing counts"
    assert (shift_of(target + 9, target, weight).abs() <= FARTHEST).all()


def test_a_shift_has_gradients_and_a_flat_field_none_to_follow(grid: torch.Tensor) -> None:
    uv = bent(grid).clone().requires_grad_()
    shift_of(uv + 0.05, bent(grid), torch.ones(2, 1, 64, 64)).sum().backward()
    assert uv.grad is not None and uv.grad.abs().sum() > 0
    flat = torch.zeros(2, 2, 64, 64)
    assert not shift_of(flat + 0.3, flat, torch.ones(2, 1, 64, 64)).any()


def test_what_is_moved_is_where_the_shift_says(grid: torch.Tensor) -> None:
    inner = (..., slice(8, -8), slice(8, -8))
    expected = bent(grid + SHIFTS[..., None, None])
    torch.testing.assert_close(moved(bent(grid), SHIFTS)[inner], expected[inner], atol=1e-3, rtol=0)
    dot = torch.zeros(1, 1, 8, 8)
    dot[..., 3, 4] = 1
    assert moved(dot, torch.tensor([[0.25, -0.5]]))[0, 0, 5, 3] == 1, "one pixel to the right of it is shown, two above"


def test_a_place_is_in_doubt_where_the_input_mask_is_the_box() -> None:
    box, finer = torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 8, 8)
    box[..., 2:6, 1:7] = 1
    finer[0], finer[1, :, 2:6, 1:6] = box[0], 1
    assert in_doubt(box, box).tolist() == [1, 1] and in_doubt(finer, box).tolist() == [1, 0]
