import pytest
import torch

from ornament_lit.models.mask_heads.criteria import bce_dice, mse


def test_mse_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0]]).view(1, 1, 1, 2)
    assert mse(logits, torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)) == pytest.approx(0.25)


def test_bce_dice_by_hand() -> None:
    logits = torch.zeros(1, 1, 1, 2)
    target = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    cross_entropy, dice = torch.log(torch.tensor(2.0)), 1 - (2 * 0.5 + 1) / (1 + 1 + 1)
    torch.testing.assert_close(bce_dice(logits, target), cross_entropy + dice)


def test_a_perfect_mask_costs_nothing_and_a_missed_one_still_has_a_gradient() -> None:
    target = torch.zeros(1, 1, 8, 8)
    target[..., 3, :] = 1
    assert bce_dice(40 * (target - 0.5), target) < 1e-4
    missed = torch.full_like(target, -12.0).requires_grad_()
    gradients = []
    for criterion in (mse, bce_dice):
        missed.grad = None
        criterion(missed, target).backward()
        gradients.append(missed.grad[..., 3, :].abs().sum())
    assert gradients[1] > 1000 * gradients[0]
