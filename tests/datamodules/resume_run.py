"""A small training run that logs what it is given, for tests that stop it and go on.

Each step of each process adds a line to ``log-RANK``: epoch, batch, keys, sample seeds, loss to the last bit.
"""

import json
import math
import multiprocessing
import os
import random
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint

from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch


@dataclass(frozen=True)
class Run:
    """Options of a run of 4 training shards."""

    shards: Path
    folder: Path
    ranks: int = 1
    workers: int = 0
    batch_size: int = 8
    accumulate: int = 1
    epochs: int = 2
    checkpoint: Path | None = None
    save_every: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)


class Step(NamedTuple):
    """A line of a log."""

    epoch: int
    batch: int
    keys: list[str]
    seeds: list[int]
    loss: str


class Log(pl.Callback):
    """Writes the logs."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self.folder = folder
        self.seconds = seconds

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: TryOnBatch, batch_idx: int) -> None:
        loss = float(outputs["loss"].detach()).hex()
        step = Step(trainer.current_epoch, batch_idx, batch["key"], batch["sample_seed"].tolist(), loss)
        with open(self.folder / f"log-{trainer.global_rank}", "a") as log:
            log.write(json.dumps(step) + "\n")
        time.sleep(self.seconds)


class SmallModule(pl.LightningModule):
    """Learns a little of everything: images, noise by the samples' seeds, and a schedule that asks for its length."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = torch.nn.Linear(3, 3)

    def training_step(self, batch: TryOnBatch, batch_idx: int) -> torch.Tensor:
        noise = [
            torch.randn(3, generator=torch.Generator().manual_seed(seed)) for seed in batch["sample_seed"].tolist()
        ]
        pixels = batch["person_image"].mean((2, 3)) + torch.stack(noise)
        return (self.layer(pixels) - batch["ornament_image"].mean((2, 3))).square().mean()

    def validation_step(self, batch: TryOnBatch, batch_idx: int) -> None:
        self.layer(batch["person_image"].mean((2, 3)))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.Adam(self.parameters(), 0.01)
        steps = max(1, int(self.trainer.estimated_stepping_batches))
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * math.cos(step / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def data_of(run: Run) -> OrnamentDataModule:
    options = {"resolution": 8, "batch_size": run.batch_size, "num_workers": run.workers, **run.data}
    return OrnamentDataModule(f"{run.shards}/train-*.tar", f"{run.shards}/val-*.tar", **options)


def train(run: Run, *callbacks: pl.Callback, module: pl.LightningModule | None = None, seconds: float = 0.0) -> None:
    """Train, with a checkpoint every few steps if that is asked for."""
    run.folder.mkdir(exist_ok=True, parents=True)
    saving = ModelCheckpoint(run.folder, "{step}", save_top_k=-1, every_n_train_steps=run.save_every)
    several: dict[str, Any] = {"strategy": "ddp_fork", "devices": run.ranks} if run.ranks > 1 else {"devices": 1}
    options: dict[str, Any] = {
        "max_epochs": run.epochs,
        "accelerator": "cpu",
        "accumulate_grad_batches": run.accumulate,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "num_sanity_val_steps": 0,
        "enable_checkpointing": run.save_every is not None,
        "callbacks": [Log(run.folder, seconds), *callbacks, *([saving] if run.save_every else [])],
        **several,
        **run.trainer,
    }
    trainer = pl.Trainer(**options)
    trainer.fit(module or SmallModule(), data_of(run), ckpt_path=run.checkpoint, weights_only=True)


def read_logs(run: Run) -> list[list[Step]]:
    """Steps of each process; a line that was being written is left out."""
    logs = [run.folder / f"log-{rank}" for rank in range(run.ranks)]
    lines = [log.read_text().splitlines(True) if log.exists() else [] for log in logs]
    return [[Step(*json.loads(line)) for line in log if line.endswith("\n")] for log in lines]


def merge(logs: list[list[Step]]) -> list[tuple[int, str, int]]:
    """Epoch, key and seed of each sample, in the order of all processes together."""
    rows = []
    for steps in zip(*logs, strict=False):
        assert len({(step.epoch, step.batch) for step in steps}) == 1
        for keys, seeds in zip(
            zip(*(s.keys for s in steps), strict=True), zip(*(s.seeds for s in steps), strict=True), strict=True
        ):
            rows += [(steps[0].epoch, key, seed) for key, seed in zip(keys, seeds, strict=True)]
    return rows


def run_and_kill(run: Run, steps: int, rng: random.Random, module: pl.LightningModule | None = None) -> bool:
    """Train in a process group of its own and kill it with SIGKILL, some time after some steps.

    Returns:
        Whether it was killed before its end.
    """
    context = multiprocessing.get_context("forkserver")  # a fork of this process could not start ddp_fork
    context.set_forkserver_preload(["datamodules.ornament"])
    process = context.Process(target=_lead_a_group, args=(run, module))
    process.start()
    assert process.pid is not None
    while process.is_alive() and (len(read_logs(run)[0]) < steps or not (run.folder / "group").exists()):
        time.sleep(0.005)
    time.sleep(rng.random() * 0.05)
    killed = process.is_alive()
    if killed:
        os.killpg(process.pid, signal.SIGKILL)
    process.join()
    return killed


def _lead_a_group(run: Run, module: pl.LightningModule | None) -> None:
    os.setsid()
    (run.folder / "group").touch()
    multiprocessing.set_start_method("fork", force=True)
    train(run, module=module, seconds=0.02)


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with most steps that is whole: a kill may come while one is written."""
    for path in sorted(
        folder.glob("*.ckpt"), key=lambda path: int(path.stem.split("=")[1].split("-")[0]), reverse=True
    ):
        try:
            torch.load(path, weights_only=True)
        except Exception:
            continue
        return path
    return None
