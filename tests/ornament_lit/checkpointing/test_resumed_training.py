"""The complete method goes on from a checkpoint in mid-epoch to the last bit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from callbacks import LossWeightDecay, TrainableEMA
from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch
from ornament_lit.module import TryOnModule

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty", "ignore:.*LeafSpec")


class Losses(pl.Callback):
    """Keeps keys and losses, and saves after some steps."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self.rows: list[tuple[int, list[str], str]] = []

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: TryOnBatch, batch_idx: int) -> None:
        self.rows.append((trainer.current_epoch, batch["key"], float(outputs["loss"].detach()).hex()))
        if self.folder is not None:
            trainer.save_checkpoint(self.folder / f"{len(self.rows)}.ckpt")


def train(module: TryOnModule, shards: Path, losses: Losses, workers: int, checkpoint: Path | None = None) -> None:
    data = OrnamentDataModule(
        str(shards / "train-*.tar"),
        str(shards / "val-*.tar"),
        resolution=32,
        batch_size=4,
        num_workers=workers,
        samples_per_epoch=9,
    )
    trainer = pl.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=1.0,
        callbacks=[losses, LossWeightDecay(), TrainableEMA(decay=0.9)],
    )
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_losses_after_a_checkpoint_are_those_of_an_uninterrupted_run(
    build_module: Callable[..., TryOnModule], shard_dir: Path, tmp_path: Path, workers: int
) -> None:
    straight = Losses(tmp_path)
    train(build_module(), shard_dir, straight, workers)
    assert len(straight.rows) == 4 and len({loss for _, _, loss in straight.rows}) == 4
    for steps in (1, 2):
        resumed = Losses()
        train(build_module(), shard_dir, resumed, workers, tmp_path / f"{steps}.ckpt")
        assert resumed.rows == straight.rows[steps:]
