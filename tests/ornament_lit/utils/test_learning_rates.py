import math
from typing import Any

import pytest
import torch
from torch.optim.lr_scheduler import OneCycleLR

from ornament_lit.utils.learning_rates import LearningRateSchedule, build_scheduler, keep_options


def adam(lr: float = 0.002, **options: Any) -> torch.optim.AdamW:
    return torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=lr, **options)


def rates(optimizer: torch.optim.Optimizer, scheduler: Any, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize(("curve", "strategy"), [("linear", "linear"), ("cosine", "cos")])
def test_the_schedule_is_torchs_1cycle_without_momentum(curve: Any, strategy: Any) -> None:
    ours, theirs = adam(), adam()
    schedule = LearningRateSchedule(curve).scheduler(ours, 60)
    cycle = OneCycleLR(theirs, 0.002, 60, pct_start=0.05, anneal_strategy=strategy, cycle_momentum=False)
    assert rates(ours, schedule, 60) == pytest.approx(rates(theirs, cycle, 60), rel=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 20, 480])
def test_no_length_of_training_is_too_short_for_it(steps: int) -> None:
    optimizer = adam(1.0)
    found = rates(optimizer, LearningRateSchedule(final=0.0).scheduler(optimizer, steps), steps + 1)
    assert all(0.0 <= rate <= 1.0 for rate in found) and found[steps] == 0.0 and max(found) > 0.5


def test_a_warm_up_can_be_counted_in_steps_where_the_training_has_no_end() -> None:
    optimizer = adam(1.0)
    schedule = LearningRateSchedule("constant", warmup=5, start=0.2).scheduler(optimizer, math.inf)
    assert rates(optimizer, schedule, 7) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("options", [{}, {"curve": "constant"}])
def test_a_training_without_an_end_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        LearningRateSchedule(**options).scheduler(adam(), math.inf)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"curve": "square"}, "constant, linear, cosine, got 'square'"),
        ({"warmup": -1.0}, "got -1.0"),
        ({"warmup": math.nan}, "got nan"),
        ({"start": 2.0}, r"in \[0, 1\], got 2.0"),
        ({"final": -0.1}, "got 0.04 and -0.1"),
    ],
)
def test_wrong_options_are_told(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LearningRateSchedule(**options)


def trained(lr: float, steps: int, of: int, decay: float = 0.1, state: Any = None) -> tuple[list[float], Any, Any]:
    """Learning rates of some steps, the optimizer, and the state of both as a checkpoint has them."""
    schedule, optimizer = LearningRateSchedule(), adam(lr, weight_decay=decay)
    scheduler = schedule.scheduler(optimizer, of)
    keep_options(optimizer, schedule)
    if state:
        optimizer.load_state_dict(state[0])
        scheduler.load_state_dict(state[1])
    found = rates(optimizer, scheduler, steps)
    return found, optimizer, (optimizer.state_dict(), scheduler.state_dict())


def test_a_resumed_run_has_the_rates_of_one_that_never_stopped() -> None:
    straight, _, _ = trained(0.002, 40, of=40)
    first, _, state = trained(0.002, 15, of=40)
    second, _, _ = trained(0.002, 25, of=40, state=state)
    assert first + second == straight


def test_after_a_resume_rate_length_and_decay_are_those_of_the_command_line() -> None:
    _, _, state = trained(0.002, 15, of=40, decay=0.1)
    found, optimizer, _ = trained(0.001, 10, of=80, decay=0.3, state=state)
    assert found == trained(0.001, 80, of=80)[0][15:25]
    assert optimizer.param_groups[0]["weight_decay"] == 0.3


def test_without_a_schedule_the_rate_is_that_of_the_command_line() -> None:
    state = adam(0.002).state_dict()
    optimizer = adam(0.001)
    keep_options(optimizer, None)
    optimizer.load_state_dict(state)
    assert optimizer.param_groups[0]["lr"] == 0.001


def test_a_scheduler_that_would_overrule_the_rate_is_refused() -> None:
    def cycle(optimizer: torch.optim.Optimizer) -> OneCycleLR:
        return OneCycleLR(optimizer, 0.002, 480)

    with pytest.raises(ValueError, match=r"max_lr of the lr_scheduler, 0\.002, would overrule lr .*, 0\.001"):
        build_scheduler(adam(0.001), cycle, None)
    assert isinstance(build_scheduler(adam(0.002), cycle, None), OneCycleLR)


def test_another_rate_that_a_scheduler_of_torch_may_not_take_is_told(recwarn: pytest.WarningsRecorder) -> None:
    def half(optimizer: torch.optim.Optimizer) -> Any:
        return torch.optim.lr_scheduler.StepLR(optimizer, 100)

    def built(lr: float) -> torch.optim.Optimizer:
        optimizer = adam(lr)
        build_scheduler(optimizer, half, None)
        keep_options(optimizer, half)
        return optimizer

    state = built(0.002).state_dict()
    built(0.002).load_state_dict(state)
    assert not [one for one in recwarn if "learning rate" in str(one.message)]
    built(0.001).load_state_dict(state)
    assert any("began at 0.002 in the checkpoint and does at 0.001 here" in str(one.message) for one in recwarn)
