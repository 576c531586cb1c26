"""TrainableEMA: exponential moving average of the weights that train, and of nothing else."""

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ornament_lit.checkpointing.state import RAW_PARAMETERS
from ornament_lit.distributed.dtensor import local, part_of, whole_of


class TrainableEMA(Callback):
    """Average the trainable weights, and use the average wherever the model is looked at.

    Validation, test and predict run on the average; training goes on from the raw weights. ``state_dict`` of a
    checkpoint is the average, so that whoever loads the file gets it without further code; the raw weights lie in
    the callback's state, from which a resumed run continues bit for bit. After the fit the module holds raw weights.

    The average is kept in float32, of the parameters that require a gradient when the fit starts. Frozen parts and
    buffers are neither copied nor averaged. It is updated once per optimizer step, also when gradients are
    accumulated. The average is in the module from ``on_validation_start`` to ``on_validation_end``.

    Where weights are sharded, each process averages its own part, and checkpoints are the same whole ones.

    Args:
        decay: Share of the old average that an update keeps, in [0, 1). Early on it is less:
            ``min(decay, (1 + n) / (10 + n))`` after ``n`` updates, so that the initial weights are soon forgotten.

    Raises:
        ValueError: If ``decay`` is outside its range, or when the fit starts, if checkpoints shall hold weights only
            or if the strategy shards them.
    """

    def __init__(self, decay: float = 0.9999) -> None:
        """Check the decay."""
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay must be in [0, 1), got {decay}; 0.999 suits short runs, 0.9999 long ones")
        self.decay = decay
        self._parameters: dict[str, nn.Parameter] = {}
        self._averages: dict[str, Tensor] = {}
        self._raw: dict[str, Tensor] = {}
        self._num_updates = 0
        self._step: int | None = None

    def decay_at(self, num_updates: int) -> float:
        """Share of the old average that the update after ``num_updates`` others keeps."""
        return min(self.decay, (1 + num_updates) / (10 + num_updates))

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse what would write wrong checkpoints."""
        if stage != "fit":
            return
        callbacks = trainer.checkpoint_callbacks
        if any(isinstance(callback, ModelCheckpoint) and callback.save_weights_only for callback in callbacks):
            raise ValueError(
                "TrainableEMA needs checkpoints with the callbacks' state, got a ModelCheckpoint with "
                "save_weights_only=True (it would hold the raw weights); set it to False"
            )
        strategy = trainer.strategy
        if strategy.restore_checkpoint_after_setup and getattr(strategy, "_save_distributed_checkpoint", True):
            raise ValueError(
                f"TrainableEMA needs checkpoints of one file, but {type(strategy).__name__} shards them; use the "
                "strategy ddp, or ModelParallelStrategy with save_distributed_checkpoint=False, or leave TrainableEMA "
                "out"
            )

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the raw weights back into the module, and take over the averages, where a fit is resumed."""
        self._forget()
        if trainer.state.fn != TrainerFn.FITTING:
            return
        state = checkpoint["callbacks"].get(self.state_key)
        if state is None:
            rank_zero_warn("the checkpoint was made without TrainableEMA: the average starts from its weights")
        else:
            self._take_over(state, checkpoint.get("state_dict") or _read_weights(trainer.ckpt_path), pl_module)
        if trainer.strategy.restore_checkpoint_after_setup:  # only now, after the fit has started
            self.on_fit_start(trainer, pl_module)

    def _take_over(self, state: dict[str, Any], averages: dict[str, Tensor], module: LightningModule) -> None:
        """Take over what a checkpoint has.

        Args:
            state: See :meth:`state_dict`.
            averages: The ``state_dict`` of the checkpoint.
            module: Gets the raw weights.
        """
        parameters = dict(module.named_parameters())
        for name, raw in state[RAW_PARAMETERS].items():
            self._averages[name] = part_of(averages[name].float(), parameters[name]).clone()
            local(parameters[name]).copy_(part_of(raw, parameters[name]))
        self._num_updates, self._step = state["num_updates"], state["step"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the averages from the weights, or move those of a checkpoint to the device of the weights."""
        resumed = self._averages if trainer.ckpt_path else {}
        self._forget(keep_progress=bool(resumed))
        self._parameters = {name: p for name, p in pl_module.named_parameters() if p.requires_grad}
        for name, parameter in self._parameters.items():
            average = resumed.get(name)
            self._averages[name] = local(parameter).float().clone() if average is None else average.to(parameter.device)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the step that the run starts from; catch up on a step whose checkpoint came before its update."""
        self._step = trainer.global_step if self._step is None else self._step
        self._follow(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: object, batch_idx: int
    ) -> None:
        """Update the averages if the batch ended with an optimizer step."""
        self._follow(trainer.global_step)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the averages in."""
        self._swap_in(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the raw weights back in, before ModelCheckpoint saves."""
        self._swap_out()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the averages in."""
        self._swap_in(trainer, pl_module)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the raw weights back in."""
        self._swap_out()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the averages in."""
        self._swap_in(trainer, pl_module)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Swap the raw weights back in."""
        self._swap_out()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Leave raw weights in the module when a validation is broken off."""
        self._swap_out()

    def state_dict(self) -> dict[str, Any]:
        """Raw weights and progress; the averages are the ``state_dict`` of the checkpoint."""
        if not self._averages:
            return {}
        raw = self._raw or {name: local(parameter) for name, parameter in self._parameters.items()}
        whole = {name: whole_of(part, self._parameters[name]) for name, part in raw.items()}
        return {RAW_PARAMETERS: whole, "num_updates": self._num_updates, "step": self._step}

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the averages, in float32, over the weights in the checkpoint's ``state_dict``."""
        averages = {
            id(self._parameters[name]): whole_of(average, self._parameters[name])
            for name, average in self._averages.items()
        }
        for name, parameter in pl_module.named_parameters(remove_duplicate=False):
            if id(parameter) in averages:
                checkpoint["state_dict"][name] = averages[id(parameter)]

    def _follow(self, global_step: int) -> None:
        """Update the averages if an optimizer step was taken since the last call."""
        if global_step == self._step:
            return
        raw = [local(self._parameters[name]).float() for name in self._averages]
        update = get_ema_multi_avg_fn(self.decay_at(self._num_updates))
        update(list(self._averages.values()), raw, None)
        self._num_updates, self._step = self._num_updates + 1, global_step

    def _swap_in(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the parameters point to their averages, unless the module's weights are not those of the fit."""
        if trainer.state.fn != TrainerFn.FITTING and trainer.ckpt_path:
            self._forget()
        own = {id(parameter) for parameter in pl_module.parameters()}
        for name, parameter in self._parameters.items():
            if id(parameter) in own and name not in self._raw:
                if isinstance(parameter, DTensor):
                    self._raw[name] = local(parameter).clone()
                    local(parameter).copy_(self._averages[name])
                else:
                    self._raw[name] = parameter.data
                    parameter.data = self._averages[name].to(parameter.device, parameter.dtype)

    def _swap_out(self) -> None:
        """Let the parameters point to their raw values again."""
        for name, raw in self._raw.items():
            parameter = self._parameters[name]
            if isinstance(parameter, DTensor):
                local(parameter).copy_(raw)
            else:
                parameter.data = raw.to(parameter.device)
        self._raw = {}

    def _forget(self, keep_progress: bool = False) -> None:
        """Drop the averages of an earlier fit."""
        self._parameters, self._averages, self._raw = {}, {}, {}
        if not keep_progress:
            self._num_updates, self._step = 0, None


def _read_weights(path: Any) -> dict[str, Tensor]:  # noqa: ANN401
    """The weights of a checkpoint whose ``state_dict`` a strategy has taken already."""
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    return weights
