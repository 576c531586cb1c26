"""The field that a fit begins with, against points computed by hand."""

import torch

from ornament_lit.models.warps.fields import FARTHEST, QuadraticField

STILL = torch.zeros(1, 2, 4, 4)  # pixels at -.75, -.25, .25, .75


def field(**changes: torch.Tensor) -> QuadraticField:
    parts = {
        "linear": torch.tensor([[[2.0, 0.0], [0.0, 1.0]]]),
        "shift": torch.tensor([[0.1, -0.2]]),
        "centre": torch.tensor([[0.25, 0.25]]),
        "upright": torch.eye(2)[None],
        "bend": torch.zeros(1, 2, 3),
    }
    return QuadraticField(**{**parts, **changes})


def test_without_a_bend_it_is_affine() -> None:
    uv = field().at(STILL)[0]
    torch.testing.assert_close(uv[:, 2, 2], torch.tensor([0.1, -0.2]))
    torch.testing.assert_close(uv[:, 0, 3], torch.tensor([2 * 0.5 + 0.1, -1.0 - 0.2]))
    moved = field().at(STILL + torch.tensor([0.5, 0.0]).view(1, 2, 1, 1))[0]
    torch.testing.assert_close(moved[:, 2, 1], uv[:, 2, 2])


def test_a_bend_adds_squares_of_the_upright_ornament() -> None:
    turn = torch.tensor([[[0.0, 1.0], [-1.0, 0.0]]])  # x of the ornament is the person's y
    bend = torch.tensor([[[0.0, 0.0, 0.0], [3.0, 5.0, 7.0]]])
    straight, bent = (field(upright=turn, bend=factor * bend).at(STILL)[0] for factor in (0.0, 1.0))
    x, y = -1.0, -0.5  # of the pixel in row 0 and column 3: p = (0.5, -1)
    assert torch.equal(straight[0], bent[0])
    torch.testing.assert_close((bent - straight)[1, 0, 3], torch.tensor(3 * x * x + 5 * x * y + 7 * y * y))


def test_far_away_it_bends_no_more() -> None:
    bend = torch.tensor([[[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]])
    far = field(upright=10 * torch.eye(2)[None], bend=bend).at(STILL)[0]
    straight = field().at(STILL)[0]
    assert (far - straight)[1, :, 0].tolist() == [FARTHEST**2] * 4


def test_detached_it_has_no_gradient() -> None:
    linear = torch.eye(2)[None].requires_grad_()
    assert not field(linear=linear).detach().at(STILL).requires_grad and field(linear=linear).at(STILL).requires_grad
