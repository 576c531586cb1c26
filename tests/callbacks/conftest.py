"""A module and data with the surface that the callbacks use, and masks that can be known beforehand."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.metrics.mask_iou import MaskIoU
from ornament_lit.utils.categories import CATEGORIES

SIZE = 16


def make_batch(level: float, categories: tuple[str, ...] = CATEGORIES, first: int = 0) -> TryOnBatch:
    """A quarter of each image is the box, and half of the box is the ornament; ``level`` is coded in the person."""
    count = len(categories)
    box, truth = torch.zeros(2, count, 1, SIZE, SIZE)
    box[:, :, : SIZE // 2, : SIZE // 2] = 1
    truth[:, :, : SIZE // 2, : SIZE // 4] = 1
    return {
        "ornament_image": torch.zeros(count, 3, SIZE, SIZE),
        "ornament_mask": torch.ones(count, 1, SIZE, SIZE),
        "person_image": torch.full((count, 3, SIZE, SIZE), level),
        "wearing_mask": truth,
        "box_mask": box,
        "category": list(categories),
        "key": [f"sample-{first + index}" for index in range(count)],
        "sample_seed": torch.arange(first, first + count),
    }


class FakeTryOn(LightningModule):
    """Predicts ``level`` outside the ornament and a little more inside; iteration 1 misses half of it."""

    mask_threshold: Tensor

    def __init__(self, num_iterations: int = 2, mass: float = 0.2) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))
        self.register_buffer("mask_threshold", torch.tensor(0.5))
        self.mask_iou = MaskIoU(num_iterations)
        self.mass = mass
        self.gains: list[float] = []
        self.sampler = Sampler(num_steps=6)
        self.drawn: list[tuple[list[str], int, float]] = []

    def predict_masks(self, batch: TryOnBatch) -> Tensor:
        assert not self.training and not torch.is_grad_enabled()
        self.gains.append(self.gain.item())
        level, truth = batch["person_image"][:, :1], batch["wearing_mask"]
        half = truth.clone()
        half[:, :, SIZE // 4 :] = 0
        masks = [level + 0.1 * half, level + 0.1 * truth, level + 0.1 * truth]
        return torch.stack(masks[: self.mask_iou.num_iterations]) if self.mask_iou.num_iterations else truth[None, :0]

    def generate(self, batch: TryOnBatch, sampler: Sampler) -> dict[str, Tensor]:
        """The person in red; notes the keys, the steps and the weights."""
        assert not self.training and not torch.is_grad_enabled()
        self.drawn.append((batch["key"], sampler.num_steps, self.gain.item()))
        red = torch.tensor([1.0, -1.0, -1.0]).view(3, 1, 1)
        return {"image": red.expand_as(batch["person_image"])}

    def training_step(self, batch: TryOnBatch, batch_idx: int) -> Tensor:
        return self.gain.square()

    def validation_step(self, batch: TryOnBatch, batch_idx: int) -> dict[str, Tensor]:
        masks = (
            self.predict_masks(batch)
            if self.mask_iou.num_iterations
            else batch["box_mask"].new_zeros(0, *batch["box_mask"].shape)
        )
        self.mask_iou.update(masks, batch["box_mask"], batch["wearing_mask"], batch["category"])
        return {
            "loss": self.gain,
            "masked_person_image": batch["person_image"] * (1 - batch["box_mask"]),
            "mask_predictions": masks,
            "attention_mask": self.mass * (0.2 * batch["box_mask"] + 0.8 * batch["wearing_mask"]),
        }

    def on_validation_epoch_end(self) -> None:
        self.mask_iou.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class FakeData(LightningDataModule):
    """Two batches each of training (level 0.52) and validation (level 0.2)."""

    def train_dataloader(self) -> DataLoader[TryOnBatch]:
        return DataLoader([make_batch(0.52), make_batch(0.52, first=4)], batch_size=None)

    def val_dataloader(self) -> DataLoader[TryOnBatch]:
        first, second = ("ring", "ring", "ring", "bracelet"), CATEGORIES[::-1]
        return DataLoader([make_batch(0.2, first), make_batch(0.2, second, first=4)], batch_size=None)

    def calibration_dataloader(self) -> DataLoader[TryOnBatch]:
        return self.train_dataloader()


@pytest.fixture
def make_trainer(tmp_path: Path) -> Callable[..., Trainer]:
    def build(*callbacks: Callback, **options: object) -> Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        defaults = {**quiet, "max_epochs": 2, "enable_checkpointing": False}
        return Trainer(
            callbacks=list(callbacks), default_root_dir=tmp_path, accelerator="cpu", **{**defaults, **options}
        )

    return build


@pytest.fixture
def module() -> FakeTryOn:
    return FakeTryOn()


@pytest.fixture
def build_module() -> type[FakeTryOn]:
    return FakeTryOn


@pytest.fixture
def data() -> FakeData:
    return FakeData()
