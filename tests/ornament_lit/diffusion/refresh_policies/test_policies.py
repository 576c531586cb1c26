import pytest
import torch

from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshUntilStable
from ornament_lit.diffusion.refresh_policies.until_stable import soft_iou


def masks(*values: list[float]) -> list[torch.Tensor]:
    return [torch.tensor(value).view(-1, 1, 1, 1).expand(-1, 1, 4, 4) for value in values]


def test_once_is_never_due_again() -> None:
    assert not any(RefreshOnce().is_due(step, masks([0.5, 0.5])).any() for step in range(1, 10))


def test_every_third_step() -> None:
    policy = RefreshEverySteps(3)
    assert [bool(policy.is_due(step, masks([0.5])).all()) for step in range(1, 7)] == [0, 0, 1, 0, 0, 1]


def test_soft_iou_of_hand_computed_masks() -> None:
    first = torch.tensor([[1.0, 0.5, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    second = torch.tensor([[1.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    assert soft_iou(first, second).tolist() == [0.5, 1.0]


def test_until_stable_looks_at_each_sample_alone() -> None:
    policy = RefreshUntilStable(0.9)
    assert policy.is_due(1, masks([0.2, 0.2])).tolist() == [True, True]
    assert policy.is_due(2, masks([0.2, 0.2], [0.2, 0.4])).tolist() == [False, True]
    assert policy.is_due(3, masks([0.2, 0.2], [0.2, 0.4], [0.2, 0.42])).tolist() == [False, False]


@pytest.mark.parametrize("build", [lambda: RefreshEverySteps(0), lambda: RefreshUntilStable(0.0)])
def test_bad_numbers_are_refused(build) -> None:
    with pytest.raises(ValueError, match="must"):
        build()
