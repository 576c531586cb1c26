"""MaskReport: the masks' IoU of each validation as a file and as a table, at a threshold from training samples."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from torchmetrics import MaxMetric

from callbacks.mask_table import build_table
from callbacks.mask_threshold import fix_threshold
from callbacks.run_folder import run_folder
from ornament_lit.batch import TryOnBatch
from ornament_lit.metrics.mask_iou import MaskIoU
from ornament_lit.utils.files import write_file

if TYPE_CHECKING:
    from ornament_lit.module import TryOnModule


class MaskReport(Callback):
    """Fix the masks' threshold on training samples, write the IoU of each validation, and print it at the end.

    Before each validation the masks of the data module's ``calibration_dataloader()`` are predicted; the threshold
    with the best IoU over all iterations becomes the module's ``mask_threshold``, so that the validation's ground
    truth has no part in it. After each validation ``result.json`` in the run's folder says the IoU of the box, of each
    iteration and of the attention mass, for all samples and for each type.

    A pixel of the attention mass counts where it exceeds half of the map's maximum; no ground truth has a part in that.

    Args:
        calibration_batches: Batches (of each process) to fix the threshold on; null for all.

    Raises:
        ValueError: If ``calibration_batches`` is less than 1, or when a run starts, if the data have no
            ``calibration_dataloader``.
    """

    def __init__(self, calibration_batches: int | None = None) -> None:
        """Check the number of batches."""
        if calibration_batches is not None and calibration_batches < 1:
            raise ValueError(f"calibration_batches must be at least 1, or null for all, got {calibration_batches}")
        self.calibration_batches = calibration_batches
        self._attention_iou = MaskIoU(1, (0.5,))
        self._attention_peak = MaxMetric()
        self._threshold_from = ""
        self._folder: Path | None = None
        self._result: dict[str, Any] = {}
        self._seconds = 0.0
        self._training_since: float | None = None
        self._step = 0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse data that the threshold cannot be fixed on."""
        data = getattr(trainer, "datamodule", None)
        if stage in ("fit", "validate") and not hasattr(data, "calibration_dataloader"):
            raise ValueError(
                "MaskReport needs a data module with calibration_dataloader() (training samples as validation sees "
                f"them), got {'none' if data is None else type(data).__name__}; use OrnamentDataModule, add the "
                "method, or leave MaskReport out"
            )

    def state_dict(self) -> dict[str, Any]:
        """Training time and step, so that a resumed run adds to them and a later validation states them."""
        return {"seconds": self._training_seconds(), "step": self._step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take training time and step over."""
        self._seconds, self._step = state_dict["seconds"], state_dict["step"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._training_since = time.monotonic()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._seconds, self._training_since = self._training_seconds(), None

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: TryOnBatch, batch_idx: int
    ) -> None:
        """Note the step."""
        self._step = trainer.global_step

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock, and fix the threshold; averaged weights, if any, have been swapped in just before."""
        if trainer.sanity_checking:
            return
        self._seconds, self._training_since = self._training_seconds(), None
        self._attention_iou = MaskIoU(1, (0.5,)).to(pl_module.device)
        self._attention_peak = MaxMetric().to(pl_module.device)
        module = cast("TryOnModule", pl_module)
        self._threshold_from = fix_threshold(trainer, module, self.calibration_batches)

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: TryOnBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Measure the attention mass."""
        if trainer.sanity_checking:
            return
        mass = cast("Mapping[str, Tensor]", outputs)["attention_mask"].float()
        relative = mass / mass.amax(dim=(-3, -2, -1), keepdim=True).clamp(min=torch.finfo(mass.dtype).tiny)
        self._attention_peak.update(mass)
        self._attention_iou.update(relative[None], batch["box_mask"], batch["wearing_mask"], batch["category"])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``result.json``."""
        if trainer.sanity_checking:
            return
        self._result = self._collect(cast("TryOnModule", pl_module))
        self._folder = run_folder(trainer)
        if trainer.is_global_zero:
            content = json.dumps(self._result, indent=2)
            write_file(self._folder / "result.json", f"{content}\n".encode())

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock again, or print the table where only a validation was asked for."""
        if trainer.state.fn == TrainerFn.FITTING:
            self._training_since = time.monotonic()
        else:
            self._print(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the table of the last validation."""
        self._print(trainer)

    def _training_seconds(self) -> float:
        """Seconds spent in training so far, validations left out."""
        running = 0.0 if self._training_since is None else time.monotonic() - self._training_since
        return self._seconds + running

    def _collect(self, module: "TryOnModule") -> dict[str, Any]:
        """What ``result.json`` holds."""
        masks = module.mask_iou.summary(float(module.mask_threshold))
        attention, peak = self._attention_iou.summary(0.5), float(self._attention_peak.compute())
        per_type = {name: row["1"] for name, row in attention["iou_per_type"].items()}
        return {
            "iou": masks["iou"],
            "iou_per_type": masks["iou_per_type"],
            "attention_iou": attention["iou"]["1"] if peak > 0.0 else None,
            "attention_iou_per_type": per_type if peak > 0.0 else {},
            "threshold": masks["threshold"],
            "threshold_from": self._threshold_from,
            "attention_threshold": "half of each map's maximum",
            "num_samples": masks["num_samples"],
            "step": self._step,
            "seconds": round(self._seconds, 1),
        }

    def _print(self, trainer: Trainer) -> None:
        """Print the table and say where the files are."""
        from rich.console import Console

        if not self._result or self._folder is None or not trainer.is_global_zero:
            return
        console = Console()
        console.print(build_table(self._result))
        lines = [
            f"mask threshold {self._result['threshold']:.2f}, fixed on {self._result['threshold_from']}",
            f"attention mass above {self._result['attention_threshold']}",
            *(str(path) for path in (self._folder / "grid.png", self._folder / "result.json") if path.exists()),
        ]
        console.print("\n".join(lines), soft_wrap=True, highlight=False, markup=False)
