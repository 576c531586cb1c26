"""Throughput: how fast training is, and what it waits for."""

import time
from typing import TYPE_CHECKING, Any, cast

from lightning.fabric.utilities.throughput import get_available_flops
from lightning.pytorch import Callback, LightningModule, Trainer

from ornament_lit.profiling.memory import GIB, peak_memory
from ornament_lit.profiling.peak import compute_dtype, now

if TYPE_CHECKING:
    from ornament_lit.batch import TryOnBatch

TERA = 1e12


class Throughput(Callback):
    """Log how fast training is, every ``log_every_n_steps`` steps of the trainer.

    Logged, over the steps since the last time and without validations: ``throughput/samples_per_second`` of all
    processes; ``throughput/loader_wait``, the share of the time in [0, 1] that this process waits for its next batch
    (writing a checkpoint is no waiting, but takes time); ``throughput/memory_gib``, the greatest memory so far that
    torch has reserved on the GPU, or that is resident on a CPU; and, where the FLOPs and the peak are known,
    ``throughput/mfu``, the share of the device's peak in [0, 1]. The GPU is waited for at these steps only. ``bench``
    measures the same beforehand.

    Args:
        tflop_per_sample: TFLOP of a training step for each sample, as ``bench`` counts them; null for no MFU.
        peak_tflops: TFLOP/s of a device at best, as ``bench`` measures them; null for what the maker of a known GPU
            says.

    Raises:
        ValueError: If a number is not above 0.
    """

    def __init__(self, tflop_per_sample: float | None = None, peak_tflops: float | None = None) -> None:
        """Check the numbers."""
        for name, number in (("tflop_per_sample", tflop_per_sample), ("peak_tflops", peak_tflops)):
            if number is not None and number <= 0:
                raise ValueError(f"{name} must be above 0, got {number}")
        self.tflop_per_sample = tflop_per_sample
        self.peak_tflops = peak_tflops
        self._off = True
        self._step = 0
        self._restart()

    def _restart(self) -> None:
        """Begin an interval at the next batch."""
        self._since: float | None = None
        self._ended: float | None = None
        self._samples = 0
        self._paused = self._waited = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out what can be logged."""
        self._off = not trainer.loggers or not trainer.is_global_zero
        self._step = trainer.global_step
        if self.tflop_per_sample is not None and self.peak_tflops is None and not self._off:
            dtype = compute_dtype(trainer.precision)
            peak = get_available_flops(trainer.strategy.root_device, dtype)
            self.peak_tflops = None if peak is None else peak / TERA
        self._restart()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: object, batch_idx: int) -> None:
        """Note how long the batch was waited for."""
        if self._off:
            return
        start = time.perf_counter()
        if self._since is None:
            self._since = start
        elif self._ended is not None:
            self._waited += start - self._ended

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,  # noqa: ANN401
        batch: object,
        batch_idx: int,
    ) -> None:
        """Count the samples, and log at the trainer's pace."""
        if self._off:
            return
        self._samples += len(cast("TryOnBatch", batch)["key"])
        every = cast("Any", trainer).log_every_n_steps
        stepped, self._step = trainer.global_step > self._step, trainer.global_step
        if stepped and every and trainer.global_step % every == 0:
            self._log(trainer)
        self._ended = time.perf_counter()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        if not self._off and self._since is not None:
            self._pause = now(trainer.strategy.root_device)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let the clock go on."""
        if not self._off and self._since is not None:
            self._paused += time.perf_counter() - self._pause
            self._ended = None

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Do not take the writing of a checkpoint for waiting."""
        self._ended = None

    def _log(self, trainer: Trainer) -> None:
        """Log the interval that ends here, and begin the next."""
        device, since = trainer.strategy.root_device, cast("float", self._since)
        end = now(device)
        seconds = max(end - since - self._paused, 1e-9)
        pace = self._samples / seconds
        values = {
            "samples_per_second": pace * trainer.world_size,
            "loader_wait": min(self._waited / seconds, 1.0),
            "memory_gib": peak_memory(device) / GIB,
        }
        if self.tflop_per_sample is not None and self.peak_tflops is not None:
            values["mfu"] = pace * self.tflop_per_sample / self.peak_tflops
        for logger in trainer.loggers:
            logger.log_metrics({f"throughput/{name}": value for name, value in values.items()}, trainer.global_step)
        self._restart()
        self._since = end
