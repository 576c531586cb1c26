"""The learning rate over a training, as the command line says it: also after a resume."""

import math
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.cli import LRSchedulerCallable
from lightning.pytorch.utilities import rank_zero_warn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ornament_lit.utils.schedules import CURVES, CurveName

__all__ = ["LearningRateSchedule"]


class LearningRateSchedule:
    """Rise to the optimizer's own learning rate in a straight line, and fall from it until the training ends.

    The rate is a function of the configuration and the step alone. So the optimizer's ``lr`` is the one number to set,
    the length is that of the training (``trainer.max_epochs`` or ``trainer.max_steps``), and a run that is resumed with
    another rate or length has these from there on. With ``linear`` it is the 1cycle policy without its momentum (Smith
    and Topin, 2018), as ``OneCycleLR`` of torch computes it.

    Args:
        curve: How the rate falls after the warm-up: ``linear``, ``cosine``, or ``constant`` for not at all.
        warmup: Steps of the warm-up, or, below 1, its share of the training.
        start: Rate of the first step, as a share of the optimizer's; it counts where there is a warm-up.
        final: Rate of the last step, as a share of the optimizer's, in [0, 1].

    Raises:
        ValueError: If an option is out of its range.
    """

    def __init__(
        self, curve: CurveName = "linear", warmup: float = 0.05, start: float = 0.04, final: float = 4e-6
    ) -> None:
        """Check the options."""
        if curve not in CURVES:
            raise ValueError(f"curve must be one of {', '.join(CURVES)}, got {curve!r}")
        if not 0.0 <= warmup < math.inf:
            raise ValueError(f"warmup must be a number of steps, or a share of the training below 1, got {warmup}")
        if not (0.0 <= start <= 1.0 and 0.0 <= final <= 1.0):
            raise ValueError(f"start and final must be shares of the learning rate, in [0, 1], got {start} and {final}")
        self.curve = curve
        self.warmup = warmup
        self.start = start
        self.final = final

    def rate(self, peak: Any, step: int, num_steps: float) -> Any:  # noqa: ANN401
        """Learning rate of a step.

        Args:
            peak: The optimizer's learning rate, a number or a tensor.
            step: Steps taken before, from 0.
            num_steps: Steps of the training; infinity where it has no end.
        """
        rise = (self.warmup if self.warmup >= 1 else self.warmup * num_steps) - 1
        if step < rise:
            low = peak * self.start
            return (peak - low) * (step / rise) + low
        if self.curve == "constant":
            return peak
        low, rise = peak * self.final, max(rise, 0.0)
        return low + (peak - low) * CURVES[self.curve]((step - rise) / max(num_steps - 1 - rise, 1.0))

    def scheduler(self, optimizer: Optimizer, num_steps: float) -> LRScheduler:
        """The schedule of an optimizer.

        Args:
            optimizer: Its groups have the peak of their learning rates.
            num_steps: Steps of the training.

        Raises:
            ValueError: If the training has no end, and the schedule needs one.
        """
        if num_steps == math.inf and (self.curve != "constant" or 0 < self.warmup < 1):
            raise ValueError(
                "the learning rate follows the length of the training, which has none: set trainer.max_epochs or "
                "trainer.max_steps, or take curve=constant and warmup in steps"
            )
        return _Following(optimizer, self, num_steps)


class _Following(LRScheduler):
    """Learning rates that are a function of the step; of a checkpoint it takes the step alone."""

    def __init__(self, optimizer: Optimizer, schedule: LearningRateSchedule, num_steps: float) -> None:
        self._schedule = schedule
        self._num_steps = num_steps
        super().__init__(optimizer)

    def get_lr(self) -> list[Any]:
        return [self._schedule.rate(peak, self.last_epoch, self._num_steps) for peak in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        return {"last_epoch": self.last_epoch, "_step_count": self._step_count}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        super().load_state_dict({name: state_dict[name] for name in self.state_dict()})
        self._last_lr = self.get_lr()
        for group, peak, rate in zip(self.optimizer.param_groups, self.base_lrs, self._last_lr, strict=True):
            group.update(initial_lr=peak, lr=rate)


def build_scheduler(
    optimizer: Optimizer, lr_scheduler: LRSchedulerCallable | LearningRateSchedule, trainer: Trainer | None
) -> LRScheduler:
    """The scheduler of a training.

    Args:
        optimizer: As it was built.
        lr_scheduler: Ours, or one of torch.
        trainer: Knows how long the training is.

    Raises:
        ValueError: If the scheduler has a learning rate of its own that is not the optimizer's.
    """
    if isinstance(lr_scheduler, LearningRateSchedule):
        return lr_scheduler.scheduler(optimizer, math.inf if trainer is None else trainer.estimated_stepping_batches)
    asked = [group["lr"] for group in optimizer.param_groups]
    scheduler = lr_scheduler(optimizer)
    for group, rate in zip(optimizer.param_groups, asked, strict=True):
        if group.get("max_lr", rate) != rate:
            raise ValueError(
                f"max_lr of the lr_scheduler, {group['max_lr']:g}, would overrule lr of the optimizer, {rate:g}: set "
                "both alike, or take LearningRateSchedule, which goes by the optimizer's"
            )
    return scheduler


def keep_options(optimizer: Optimizer, lr_scheduler: LRSchedulerCallable | LearningRateSchedule | None) -> None:
    """Let the options of an optimizer be those of the command line, whatever a checkpoint has.

    Args:
        optimizer: With its scheduler, before a checkpoint is loaded.
        lr_scheduler: What the scheduler was built from. One of torch resumes from the options in the checkpoint that it
            has changed.
    """
    foreign = lr_scheduler is not None and not isinstance(lr_scheduler, LearningRateSchedule)
    changing = {"params", "lr", "momentum", "betas"} if foreign else {"params"}
    own = [{name: group[name] for name in group.keys() - changing} for group in optimizer.param_groups]

    def put_back(loaded: Optimizer) -> None:
        for group, options in zip(loaded.param_groups, own, strict=True):
            if foreign and group.get("initial_lr") != options.get("initial_lr"):
                rank_zero_warn(
                    f"the learning rate began at {group['initial_lr']:g} in the checkpoint and does at "
                    f"{options['initial_lr']:g} here; an lr_scheduler of torch may keep the former; "
                    "LearningRateSchedule goes by the optimizer's lr"
                )
            group.update(options)

    optimizer.register_load_state_dict_post_hook(put_back)
