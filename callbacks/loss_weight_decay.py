"""LossWeightDecay: the weights of the losses fall over training (layout first, appearance later)."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from ornament_lit.utils.schedules import CurveName, decay

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


class LossWeightDecay(Callback):
    """Let weights of the losses fall from their configured value, by default lambda1 and lambda2 of the paper.

    A weight is a pure function of the number of optimizer steps, so a resumed run continues it without any state.
    For different schedules of different losses, use the callback more than once. Logged as ``train/weight_<name>``.

    Args:
        names: The losses whose weights fall: ``mask`` is lambda1, ``attention`` is lambda2.
        schedule: ``linear``, ``cosine``, or ``constant`` (never falls).
        num_steps: Optimizer steps until a weight has fallen to its end. Not together with ``num_epochs``; with
            neither, the whole run.
        num_epochs: The same length, in epochs.
        final: Share of the configured weight that is left at the end, in [0, 1]: for all, or by name.

    Raises:
        ValueError: If an argument is out of its range or the arguments contradict each other.
    """

    def __init__(
        self,
        names: Sequence[str] = ("mask", "attention"),
        schedule: CurveName = "linear",
        num_steps: int | None = None,
        num_epochs: int | None = None,
        final: float | dict[str, float] = 0.0,
    ) -> None:
        """Check the arguments."""
        if isinstance(names, str) or not names:
            raise ValueError(f"names must list at least one loss, for example [mask, attention], got {names!r}")
        if num_steps is not None and num_epochs is not None:
            raise ValueError(f"give num_steps or num_epochs, not both, got {num_steps} and {num_epochs}")
        if num_epochs is not None and num_epochs < 1:
            raise ValueError(f"num_epochs must be at least 1, got {num_epochs}")
        self.names = tuple(names)
        self.schedule: CurveName = schedule
        self.num_steps = num_steps
        self.num_epochs = num_epochs
        self.final = _final_by_name(self.names, final)
        for name in self.names:
            self.factor(name, 0, 1 if num_steps is None else num_steps)

    def factor(self, name: str, step: int, num_steps: int) -> float:
        """Share of the configured weight of a loss that is left.

        Args:
            name: One of ``names``.
            step: Optimizer steps taken so far.
            num_steps: Optimizer steps until the weight has fallen to its end.

        Returns:
            The factor, in [``final``, 1].
        """
        return decay(self.schedule, step, num_steps, self.final[name])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check the names against the module, and turn the length into optimizer steps."""
        known = sorted(cast("TryOnModule", pl_module).initial_loss_weights)
        absent = [name for name in self.names if name not in known]
        if absent:
            raise ValueError(f"names must be losses of the module ({', '.join(known)}), got {', '.join(absent)}")
        self._length = self._count_steps(trainer)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Write the weights that the coming training step reads."""
        module = cast("TryOnModule", pl_module)
        for name in self.names:
            weight = module.initial_loss_weights[name] * self.factor(name, trainer.global_step, self._length)
            module.loss_weights[name] = weight
            module.log(f"train/weight_{name}", weight)

    def _count_steps(self, trainer: Trainer) -> int:
        """Optimizer steps until the weights have fallen."""
        if self.num_steps is not None:
            return self.num_steps
        if self.num_epochs is None and 0 < trainer.estimated_stepping_batches < math.inf:
            return int(trainer.estimated_stepping_batches)
        if self.num_epochs is not None and trainer.num_training_batches < math.inf:
            return self.num_epochs * math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
        raise ValueError(
            "the loss weights need a length, and the run has no end or the data loader no length; "
            "set num_steps of LossWeightDecay"
        )


def _final_by_name(names: tuple[str, ...], final: float | dict[str, float]) -> dict[str, float]:
    """One checked final factor for each name."""
    by_name = dict(final) if isinstance(final, dict) else dict.fromkeys(names, final)
    if set(by_name) != set(names):
        raise ValueError(f"final must be a number or have one for each of {', '.join(names)}, got {by_name}")
    outside = {name: value for name, value in by_name.items() if not 0.0 <= value <= 1.0}
    if outside:
        raise ValueError(f"final is a share of the configured weight, in [0, 1], got {outside}")
    return by_name
