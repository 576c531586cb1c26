"""Batches in memory, to take training steps on."""

from collections.abc import Iterator
from typing import cast

import torch
from lightning.pytorch import LightningDataModule

from ornament_lit.batch import TryOnBatch, select_rows


def draw_batch(resolution: int, size: int, device: str = "cpu") -> TryOnBatch:
    """A batch of noise, with a box in the middle.

    Args:
        resolution: Side of the images in pixels.
        size: Samples.
        device: Where the images are.
    """
    quarter, side = resolution // 4, (size, 1, resolution, resolution)
    box = torch.zeros(side)
    box[:, :, quarter:-quarter, quarter:-quarter] = 1
    images, mask = torch.rand(2, size, 3, resolution, resolution) * 2 - 1, box * torch.rand(side)
    moved = [tensor.to(device) for tensor in (*images, mask, box)]
    return TryOnBatch(
        ornament_image=moved[0],
        person_image=moved[1],
        ornament_mask=moved[2],
        wearing_mask=moved[2],
        box_mask=moved[3],
        category=["ring"] * size,
        key=[str(index) for index in range(size)],
        sample_seed=torch.arange(size),
    )


def with_size(batch: TryOnBatch, size: int) -> TryOnBatch:
    """The samples of a batch, repeated or cut to another size."""
    given = len(batch["key"])
    return batch if given == size else select_rows(batch, [row % given for row in range(size)])


def without_values(batch: TryOnBatch) -> TryOnBatch:
    """The batch on the meta device; the seeds stay where they are, since noise is drawn from their values."""

    def strip(value: object) -> object:
        if isinstance(value, dict):
            return {name: strip(entry) for name, entry in value.items()}
        return value.to("meta") if isinstance(value, torch.Tensor) else value

    seeds = batch["sample_seed"]
    return cast("TryOnBatch", {**cast("dict[str, object]", strip(batch)), "sample_seed": seeds})


class RepeatedBatch(LightningDataModule):
    """Training data that are one batch, over and over.

    Args:
        batch: The batch.
        count: Batches in an epoch.
    """

    def __init__(self, batch: TryOnBatch, count: int) -> None:
        """Keep the batch."""
        super().__init__()
        self.batch = batch
        self.count = count

    def train_dataloader(self) -> "RepeatedBatch":
        """The batches."""
        return self

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self.count

    def __iter__(self) -> Iterator[TryOnBatch]:
        """Yield the batch."""
        for _ in range(self.count):
            yield self.batch
