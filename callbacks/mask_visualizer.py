"""MaskVisualizer: a picture of what the masks do, on a fixed set of validation samples."""

import io
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from callbacks.grid import GREEN, WHITE, draw_grid, enlarge, outline, overlay
from callbacks.run_folder import run_folder, write_file
from ornament_lit.batch import CATEGORIES, TryOnBatch
from ornament_lit.metrics.mask_iou import iou

if TYPE_CHECKING:
    from PIL.Image import Image

    from ornament_lit.module import TryOnModule

Sample = dict[str, Tensor]


class MaskVisualizer(Callback):
    """Draw, after each validation, how the masks of a fixed set of validation samples come about.

    The first samples of each type in the validation data are taken. The columns are the ornament, the erased person
    with the box, the mask after each iteration (with its edge at the module's ``mask_threshold`` and its IoU), the
    attention mass (relative to its maximum, which is noted), the true mask, and the true person.

    It is written to ``grid.png`` in the run's folder and shown in TensorBoard as ``val/masks`` where that logs.

    Args:
        num_samples: How many, evenly over the four types.
        cell_size: Pictures with shorter sides are scaled up by a whole number, to at least so many pixels.
        keep: Keep a copy of every grid, as ``grids/step-000600.png``.

    Raises:
        ValueError: If ``num_samples`` or ``cell_size`` is less than 1.
    """

    def __init__(self, num_samples: int = 8, cell_size: int = 128, keep: bool = False) -> None:
        """Check the sizes."""
        if num_samples < 1 or cell_size < 1:
            raise ValueError(f"num_samples and cell_size must be at least 1, got {num_samples} and {cell_size}")
        self.num_samples = num_samples
        self.cell_size = cell_size
        self.keep = keep
        self._samples: list[tuple[str, Sample]] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a new set."""
        self._samples = []

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: STEP_OUTPUT,
        batch: TryOnBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take samples of the types that still lack some."""
        if not trainer.is_global_zero or trainer.sanity_checking:
            return
        taken = Counter(category for category, _ in self._samples)
        for index, category in enumerate(batch["category"]):
            if taken[category] < self._quota(category):
                taken[category] += 1
                self._samples.append((category, _sample(cast("Mapping[str, Tensor]", outputs), batch, index)))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the grid and save it; the averaged weights, if any, are still in the module."""
        folder = run_folder(trainer)
        if not self._samples:
            return
        image = self.draw(float(cast("TryOnModule", pl_module).mask_threshold))
        content = io.BytesIO()
        image.save(content, format="PNG")
        write_file(folder / "grid.png", content.getvalue())
        if self.keep:
            write_file(folder / "grids" / f"step-{trainer.global_step:06d}.png", content.getvalue())
        _show_in_tensorboard(trainer, image)

    def draw(self, threshold: float) -> "Image":
        """Draw the samples taken so far, type by type.

        Args:
            threshold: The probability above which a pixel of a mask counts.
        """
        samples = sorted(self._samples, key=lambda entry: CATEGORIES.index(entry[0]))
        return draw_grid([(category, self.cells(sample, threshold)) for category, sample in samples])

    def cells(self, sample: Sample, threshold: float) -> Mapping[str, tuple[Tensor, str]]:
        """Pictures and notes of one sample, by the name of the column.

        Args:
            sample: ``ornament``, ``erased`` and ``person``, (3, H, W); ``box``, ``truth`` and ``attention``,
                (1, H, W); ``masks``, (T, 1, H, W); all in [0, 1].
            threshold: The probability above which a pixel of a mask counts.
        """
        large = {name: enlarge(tensor, self.cell_size) for name, tensor in sample.items() if name != "masks"}
        box, truth = large["box"] > 0.5, large["truth"] > 0.5
        cells = {
            "ornament": (large["ornament"], ""),
            "erased + box": (outline(large["erased"], box, GREEN), ""),
        }
        for number, mask in enumerate(sample["masks"], start=1):
            score = iou(mask > threshold, sample["truth"] > 0.5)
            mask = enlarge(mask, self.cell_size)
            picture = outline(overlay(large["erased"], mask), mask > threshold, WHITE)
            cells[f"mask {number}"] = picture, f"IoU {score:.2f}"
        peak = float(sample["attention"].max())
        mass = large["attention"] / max(peak, 1e-6)
        cells["attention"] = overlay(large["erased"], mass), f"max {peak:.2f}"
        cells["true mask"] = overlay(large["erased"], truth.float()), ""
        cells["true person"] = large["person"], ""
        return cells

    def _quota(self, category: str) -> int:
        """How many samples of a type are drawn."""
        share, rest = divmod(self.num_samples, len(CATEGORIES))
        return share + (CATEGORIES.index(category) < rest)


def _sample(outputs: Mapping[str, Tensor], batch: TryOnBatch, index: int) -> Sample:
    """One sample of a batch and of the validation step's outputs, on the CPU and in [0, 1]."""
    tensors = {
        "ornament": (batch["ornament_image"][index] + 1) / 2,
        "erased": (outputs["erased_image"][index] + 1) / 2,
        "person": (batch["person_image"][index] + 1) / 2,
        "box": batch["box_mask"][index],
        "truth": batch["wearing_mask"][index],
        "masks": outputs["mask_predictions"][:, index],
        "attention": outputs["attention_mask"][index],
    }
    return {name: tensor.detach().float().cpu() for name, tensor in tensors.items()}


def _show_in_tensorboard(trainer: Trainer, image: "Image") -> None:
    """Add the grid to every TensorBoard logger."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(image.height, image.width, 3)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("val/masks", pixels, trainer.global_step, dataformats="HWC")
