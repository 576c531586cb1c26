"""MaskVisualizer: an image of what the masks do, on a fixed set of validation samples."""

from collections import Counter
from collections.abc import Mapping
from copy import copy
from typing import TYPE_CHECKING, cast

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from callbacks.grid import GREEN, WHITE, draw_grid, enlarge, outline, overlay
from callbacks.run_folder import run_folder
from ornament_lit.batch import TryOnBatch, select_rows
from ornament_lit.imaging.writing import encode_png
from ornament_lit.metrics.mask_iou import iou
from ornament_lit.utils.categories import CATEGORIES
from ornament_lit.utils.files import write_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from ornament_lit.module import TryOnModule

Sample = dict[str, Tensor]


class MaskVisualizer(Callback):
    """Draw, after each validation, how the masks of a fixed set of validation samples come about.

    The first samples of each type in the validation data are taken. The columns are the ornament, the masked person
    with the box, the mask after each iteration (with its edge at the module's ``mask_threshold`` and its IoU), the
    attention mass (relative to its maximum, which is noted), the true mask, what the sampler generates in the box,
    and the true person.

    It is written to ``grid.png`` in the run's folder and shown in TensorBoard as ``val/masks`` where that logs.

    Args:
        num_samples: How many, evenly over the four types.
        cell_size: Images with shorter sides are scaled up by a whole number, to at least so many pixels.
        keep: Keep a copy of every grid, as ``grids/step-000600.png``.
        sampling_steps: Denoising steps of the generated images, at most those of the module's sampler; few, so that a
            validation stays quick. 0 for none.

    Raises:
        ValueError: If ``num_samples`` or ``cell_size`` is less than 1, or ``sampling_steps`` is negative.
    """

    def __init__(
        self, num_samples: int = 8, cell_size: int = 128, keep: bool = False, sampling_steps: int = 10
    ) -> None:
        """Check the sizes."""
        if sampling_steps < 0:
            raise ValueError(f"sampling_steps must not be negative, got {sampling_steps}; 0 is for none")
        if num_samples < 1 or cell_size < 1:
            raise ValueError(f"num_samples and cell_size must be at least 1, got {num_samples} and {cell_size}")
        self.num_samples = num_samples
        self.cell_size = cell_size
        self.keep = keep
        self.sampling_steps = sampling_steps
        self._samples: list[tuple[str, Sample]] = []
        self._batches: list[TryOnBatch] = []

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a new set."""
        self._samples, self._batches = [], []

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
        taken, rows = Counter(category for category, _ in self._samples), []
        for index, category in enumerate(batch["category"]):
            if taken[category] < self._quota(category):
                taken[category] += 1
                rows.append(index)
                self._samples.append((category, _sample(cast("Mapping[str, Tensor]", outputs), batch, index)))
        if rows:
            self._batches.append(select_rows(batch, rows))

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the grid and save it; the averaged weights, if any, are still in the module."""
        folder = run_folder(trainer)
        if not self._samples:
            return
        module = cast("TryOnModule", pl_module)
        if self.sampling_steps:
            self._generate_samples(trainer, module)
        image = self.draw(float(module.mask_threshold))
        content = encode_png(image)
        write_file(folder / "grid.png", content)
        if self.keep:
            write_file(folder / "grids" / f"step-{trainer.global_step:06d}.png", content)
        _show_in_tensorboard(trainer, image)

    def draw(self, threshold: float) -> "Image":
        """Draw the samples taken so far, type by type.

        Args:
            threshold: The probability above which a pixel of a mask counts.
        """
        samples = sorted(self._samples, key=lambda entry: CATEGORIES.index(entry[0]))
        return draw_grid([(category, self.cells(sample, threshold)) for category, sample in samples])

    def cells(self, sample: Sample, threshold: float) -> Mapping[str, tuple[Tensor, str]]:
        """Images and notes of one sample, by the name of the column.

        Args:
            sample: ``ornament``, ``masked_person`` and ``person``, (3, H, W); ``box``, ``ground_truth`` and
                ``attention``, (1, H, W); ``masks``, (T, 1, H, W); ``generated``, (3, H, W), if there is one; all in
                [0, 1].
            threshold: The probability above which a pixel of a mask counts.
        """
        large = {name: enlarge(tensor, self.cell_size) for name, tensor in sample.items() if name != "masks"}
        box, ground_truth = large["box"] > 0.5, large["ground_truth"] > 0.5
        cells = {
            "ornament": (large["ornament"], ""),
            "person + box": (outline(large["masked_person"], box, GREEN), ""),
        }
        for number, mask in enumerate(sample["masks"], start=1):
            score = iou(mask > threshold, sample["ground_truth"] > 0.5)
            mask = enlarge(mask, self.cell_size)
            image = outline(overlay(large["masked_person"], mask), mask > threshold, WHITE)
            cells[f"mask {number}"] = image, f"IoU {score:.2f}"
        peak = float(sample["attention"].max())
        mass = large["attention"] / max(peak, 1e-6)
        cells["attention"] = overlay(large["masked_person"], mass), f"max {peak:.2f}"
        cells["true mask"] = overlay(large["masked_person"], ground_truth.float()), ""
        if "generated" in large:
            generated = torch.lerp(large["masked_person"], large["generated"], box.float())
            cells["try-on"] = generated, f"{self.sampling_steps} steps"
        cells["true person"] = large["person"], ""
        return cells

    def _generate_samples(self, trainer: Trainer, module: "TryOnModule") -> None:
        """Let the module generate the samples, with its sampler but fewer steps; the module is as validation has it."""
        sampler = copy(module.sampler)
        sampler.num_steps = min(self.sampling_steps, sampler.num_steps)
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            images = [image for batch in self._batches for image in module.generate(batch, sampler)["image"]]
        for (_, sample), image in zip(self._samples, images, strict=True):
            sample["generated"] = ((image + 1) / 2).float().cpu()

    def _quota(self, category: str) -> int:
        """How many samples of a type are generated."""
        share, rest = divmod(self.num_samples, len(CATEGORIES))
        return share + (CATEGORIES.index(category) < rest)


def _sample(outputs: Mapping[str, Tensor], batch: TryOnBatch, index: int) -> Sample:
    """One sample of a batch and of the validation step's outputs, on the CPU and in [0, 1]."""
    tensors = {
        "ornament": (batch["ornament_image"][index] + 1) / 2,
        "masked_person": (outputs["masked_person_image"][index] + 1) / 2,
        "person": (batch["person_image"][index] + 1) / 2,
        "box": batch["box_mask"][index],
        "ground_truth": batch["wearing_mask"][index],
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
