"""GradientGuard: steps whose loss or gradient is not finite are left out, and the gradient's norm is logged."""

from typing import Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from ornament_lit.batch import TryOnBatch
from ornament_lit.checkpointing.resume import save_last


class GradientGuard(Callback):
    """Leave out steps that would spoil the weights, and stop where they do not end.

    A step whose loss, on any process, or whose gradient has a NaN or an infinity is left out by all processes: weights
    and states of the optimizer stay as they are; the data, the learning rate and the count of steps go on. It is
    reported with the keys of its samples.

    Logged: ``train/grad_norm`` and ``train/grad_norm_clipped``, the norms of the gradient before and after clipping,
    and ``train/skipped_steps``, the steps left out so far.

    With float16 (``16-mixed``), gradients that are not finite are usual, and Lightning's scaler leaves those steps out
    itself; then only the loss counts here.

    Args:
        stop_after: So many steps left out in a row end the run, after the weights were saved to ``last.ckpt``.

    Raises:
        ValueError: If ``stop_after`` is below 1, and when so many steps in a row were left out.
    """

    def __init__(self, stop_after: int = 10) -> None:
        """Check the argument."""
        if stop_after < 1:
            raise ValueError(f"stop_after must be at least 1, got {stop_after}")
        self.stop_after = stop_after
        self.skipped = 0
        self._in_a_row = 0
        self._losses: list[Tensor] = []
        self._keys: list[str] = []
        self._last_keys: list[str] = []
        self._stepped = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin with no step half done."""
        self._losses, self._keys, self._stepped, self._in_a_row = [], [], False, 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Note the keys of the samples that the step is made of."""
        self._keys += cast(TryOnBatch, batch)["key"]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Note the loss."""
        self._losses.append(loss.detach())

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Take the gradients away from the optimizer, if they are not finite: it then does nothing."""
        norm = gradient_norm(optimizer)
        pl_module.log("train/grad_norm", norm)
        bad_loss = ~torch.stack([loss.isfinite().all() for loss in self._losses]).all()
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        bad = bad_loss if scaled else bad_loss | ~norm.isfinite()
        self._last_keys = _blame(trainer, self._keys, bad_loss) if _on_any(trainer, bad) else []
        self._losses, self._keys, self._stepped = [], [], True
        if self._last_keys:
            optimizer.zero_grad(set_to_none=True)
            self.skipped += 1
            self._in_a_row += 1
            rank_zero_warn(
                f"step {trainer.global_step}: the loss or the gradient (norm {float(norm)}) is not finite; the step is "
                f"left out ({self._in_a_row} in a row, {self.skipped} in all); samples: {_list(self._last_keys)}"
            )
        else:
            self._in_a_row = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Log; end the run after too many steps that were left out.

        Raises:
            ValueError: If there were.
        """
        if not self._stepped:
            return
        self._stepped = False
        pl_module.log("train/skipped_steps", float(self.skipped))
        if not self._last_keys and trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            pl_module.log("train/grad_norm_clipped", gradient_norm(*trainer.optimizers))
        if self._in_a_row >= self.stop_after:
            path = save_last(trainer)
            raise ValueError(
                f"the loss or the gradient was not finite in {self._in_a_row} steps in a row, up to step "
                f"{trainer.global_step - 1} with the samples {_list(self._last_keys)}; the weights before them are "
                f"in {path}; look at these samples, lower the learning rate, or use precision bf16-mixed or 32"
            )

    def state_dict(self) -> dict[str, Any]:
        """How many steps were left out."""
        return {"skipped": self.skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on."""
        self.skipped = state_dict["skipped"]


def gradient_norm(*optimizers: Any) -> Tensor:  # noqa: ANN401
    """Euclidean norm of the gradients that some optimizers would use, a scalar; of all parts where they are sharded."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    gradients = [value.grad for group in groups for value in group["params"] if value.grad is not None]
    norm = get_total_norm(gradients)
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _on_any(trainer: Trainer, bad: Tensor) -> bool:
    """Whether something is bad on any process; the same on each."""
    count = bad.int()
    if trainer.world_size > 1:
        torch.distributed.all_reduce(count, torch.distributed.ReduceOp.MAX)
    return bool(count)


def _blame(trainer: Trainer, keys: list[str], bad_loss: Tensor) -> list[str]:
    """Keys of the samples of the processes with a bad loss; of all where the gradient alone is bad."""
    found: list[Any] = [(bool(bad_loss), keys)]
    if trainer.world_size > 1:
        found = [None] * trainer.world_size
        torch.distributed.all_gather_object(found, (bool(bad_loss), keys))
    guilty = [part for bad, part in found if bad] or [part for _, part in found]
    return [key for part in guilty for key in part]


def _list(keys: list[str], most: int = 16) -> str:
    """The first keys, and how many more there are."""
    return ", ".join(keys[:most]) + (f" and {len(keys) - most} more" if len(keys) > most else "")
