"""Training steps by Lightning's own trainer on one batch in memory: their time, memory and losses."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule
from ornament_lit.profiling.batches import RepeatedBatch
from ornament_lit.profiling.memory import peak_memory, reset_peak
from ornament_lit.profiling.peak import now


@dataclass(frozen=True)
class Recipe:
    """How a step is taken.

    Attributes:
        precision: As the trainer has it, such as ``bf16-mixed``.
        accumulate: Batches whose gradients are added up to a step.
        clip: Norm or value that gradients are clipped at; None for none.
        clip_algorithm: ``norm`` or ``value``; None for the trainer's default.
        deterministic: As the trainer has it.
    """

    precision: Any = "32-true"
    accumulate: int = 1
    clip: float | None = None
    clip_algorithm: str | None = None
    deterministic: Any = None


@dataclass(frozen=True)
class Steps:
    """What was measured.

    Attributes:
        seconds: Of each step after the first ones, which are not counted.
        samples: In a step.
        peak: Greatest memory in bytes.
        losses: Of the last batch of every step, from the first on.
    """

    seconds: list[float]
    samples: int
    peak: int
    losses: list[float] = field(default_factory=list)

    @property
    def samples_per_second(self) -> float:
        """By the median step."""
        return self.samples / statistics.median(self.seconds)


class StepClock(Callback):
    """Notes when steps end, and their losses.

    Args:
        advance: Called after each step.
    """

    def __init__(self, advance: Callable[[], object] = lambda: None) -> None:
        """Have nothing noted."""
        self.advance = advance
        self.marks: list[float] = []
        self.losses: list[float] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the start."""
        self.marks = [now(trainer.strategy.root_device)]

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: object,
        batch_idx: int,
    ) -> None:
        """Note the end of a step."""
        if trainer.global_step < len(self.marks):
            return
        self.marks.append(now(trainer.strategy.root_device))
        self.losses.append(float(outputs["loss"]))
        self.advance()


def take_steps(
    module: TryOnModule,
    batch: TryOnBatch,
    recipe: Recipe,
    device: torch.device,
    counted: int = 10,
    warm_up: int = 3,
    callbacks: Sequence[Callback] = (),
    advance: Callable[[], object] = lambda: None,
) -> Steps:
    """Train on one batch: forward, backward, clipping and optimizer, with all that the trainer does around them.

    Args:
        module: What trains; its weights change.
        batch: On the CPU; it is copied to the device in each step, as in training.
        recipe: See :class:`Recipe`.
        device: ``cpu`` or a CUDA device.
        counted: Steps that are timed.
        warm_up: Steps before them.
        callbacks: Callbacks that take part.
        advance: Called after each step.
    """
    clock = StepClock(advance)
    steps = warm_up + counted
    trainer = Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=[device.index or 0] if device.type == "cuda" else 1,
        precision=recipe.precision,
        accumulate_grad_batches=recipe.accumulate,
        gradient_clip_val=recipe.clip,
        gradient_clip_algorithm=recipe.clip_algorithm,
        deterministic=recipe.deterministic,
        max_steps=steps,
        max_epochs=-1,
        callbacks=[*callbacks, clock],
        limit_val_batches=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    reset_peak(device)
    trainer.fit(module, datamodule=RepeatedBatch(batch, steps * recipe.accumulate))
    seconds = [end - start for start, end in zip(clock.marks[:-1], clock.marks[1:], strict=True)]
    return Steps(seconds[warm_up:], len(batch["key"]) * recipe.accumulate, peak_memory(device), clock.losses)
