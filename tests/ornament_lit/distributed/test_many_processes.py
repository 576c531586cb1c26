"""Any number of processes is one training: losses, averages, reports, and what is sent between processes."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.strategies import DDPStrategy

from callbacks import EvaluationReport, LossWeightDecay, MaskReport, MaskVisualizer, TrainableEMA
from datamodules import OrnamentDataModule
from ornament_lit.batch import TryOnBatch
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.module import TryOnModule

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec", "ignore:.*sync_dist", "ignore:.*exists and is not empty", "ignore:.*multi-threaded"
)
Build = Callable[..., TryOnModule]
STEPS = 20


class Log(pl.Callback):
    """Writes, for each process, its losses, and the weights that it validates with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, trainer: pl.Trainer, name: str, *values: float) -> None:
        with (self.folder / f"{name}-{trainer.global_rank}").open("a") as log:
            log.write(f"{json.dumps(values)}\n")

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: TryOnBatch, batch_idx: int) -> None:
        self.write(trainer, "step", trainer.global_step)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: TryOnBatch, batch_idx: int) -> None:
        # Lightning has divided the loss by the batches that are accumulated.
        self.write(trainer, "loss", float(outputs["loss"]))

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: Any) -> None:
        weights = [parameter.detach().double().norm() for parameter in module.parameters()]
        self.write(trainer, "weights", *torch.stack(weights).tolist())


def read(folder: Path, name: str, rank: int) -> list[list[float]]:
    return [json.loads(line) for line in (folder / f"{name}-{rank}").read_text().splitlines()]


def losses(folder: Path, processes: int) -> list[float]:
    """Loss of each step over all processes and batches."""
    sums: dict[int, float] = {}
    for rank in range(processes):
        for (step,), (loss,) in zip(read(folder, "step", rank), read(folder, "loss", rank), strict=True):
            sums[int(step)] = sums.get(int(step), 0.0) + loss / processes
    return [sums[step] for step in sorted(sums)]


def several(processes: int) -> dict[str, Any]:
    if processes == 1:
        return {"devices": 1}
    strategy = DDPStrategy(start_method="fork", timeout=timedelta(seconds=60))
    return {"devices": processes, "strategy": strategy}


def trainer_of(folder: Path, processes: int, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    folder.mkdir(exist_ok=True)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    saving = {"enable_checkpointing": any(isinstance(one, pl.callbacks.ModelCheckpoint) for one in callbacks)}
    return pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=list(callbacks),
        **{**quiet, **saving, "num_sanity_val_steps": 0, **several(processes), **options},
    )


def train(
    build: Build, shards: Path, folder: Path, processes: int, accumulate: int, steps: int, checkpoint: Path | None
) -> None:
    """Ten steps an epoch, of four samples each whatever the number of processes."""
    options = {"resolution": 32, "batch_size": 4 // processes // accumulate, "samples_per_epoch": 40}
    data = OrnamentDataModule(str(shards / "train-*.tar"), str(shards / "val-*.tar"), **options)
    saving = pl.callbacks.ModelCheckpoint(folder, "{step}", every_n_train_steps=13, save_top_k=-1)
    trainer = trainer_of(
        folder,
        processes,
        *(Log(folder), TrainableEMA(0.9), LossWeightDecay(), saving),
        max_epochs=steps // 10,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=1.0,
        limit_val_batches=1,
    )
    module = build(optimizer=lambda weights: torch.optim.AdamW(weights, 1e-3))
    trainer.fit(module, data, ckpt_path=checkpoint, weights_only=True)


@pytest.mark.slow
def test_losses_and_averages_of_any_processes_are_those_of_one(
    build_module: Build, shard_dir: Path, tmp_path: Path
) -> None:
    """20 steps with one global batch: 1 process, 2 processes, 1 that accumulates; and from 2 processes to 1."""
    for name, processes, accumulate in (("one", 1, 1), ("two", 2, 1), ("accumulating", 1, 2), ("both", 2, 2)):
        train(build_module, shard_dir, tmp_path / name, processes, accumulate, STEPS, None)
    train(build_module, shard_dir, tmp_path / "two to one", 1, 1, STEPS, tmp_path / "two" / "step=13.ckpt")
    train(build_module, shard_dir, tmp_path / "one to two", 2, 1, STEPS, tmp_path / "one" / "step=13.ckpt")

    expected, average = losses(tmp_path / "one", 1), read(tmp_path / "one", "weights", 0)
    assert len(expected) == STEPS and len(set(expected)) == STEPS and len(average) == 2
    assert losses(tmp_path / "two", 2) == pytest.approx(expected, rel=1e-4)
    assert losses(tmp_path / "both", 2) == pytest.approx(expected, rel=1e-4)
    assert losses(tmp_path / "accumulating", 1) == pytest.approx(expected, rel=1e-4)
    assert losses(tmp_path / "two to one", 1) == pytest.approx(expected[13:], rel=1e-4)
    assert losses(tmp_path / "one to two", 2) == pytest.approx(expected[13:], rel=1e-4)
    for name in ("two", "both", "one to two"):
        assert read(tmp_path / name, "weights", 0) == read(tmp_path / name, "weights", 1)
    for name in ("two", "both", "accumulating", "two to one", "one to two"):
        assert read(tmp_path / name, "weights", 0)[-1] == pytest.approx(average[-1], rel=1e-4, abs=1e-6)


COLLECTIVES = ("all_reduce", "all_gather", "all_gather_object", "barrier", "broadcast", "broadcast_object_list")


class CountCollectives(pl.Callback):
    """Writes what is sent in each training step, gradients apart: DDP sends them from C++."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.sent = folder, []

    def on_train_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        for name in COLLECTIVES:
            setattr(torch.distributed, name, self.counted(name, getattr(torch.distributed, name)))

    def counted(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.sent.append(name)
            return function(*arguments, **options)

        return call

    def on_train_batch_start(self, *_: Any) -> None:
        self.sent.clear()

    def on_before_zero_grad(self, trainer: pl.Trainer, *_: Any) -> None:
        with (self.folder / f"sent-{trainer.global_rank}").open("a") as log:
            log.write(f"{json.dumps(self.sent)}\n")

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        (self.folder / f"validation-{trainer.global_rank}").write_text(json.dumps(self.sent))


def test_a_step_sends_nothing_but_gradients(build_module: Build, shard_dir: Path, tmp_path: Path) -> None:
    """Logging at each step, with the callbacks that look at a training."""
    logger = pl.loggers.CSVLogger(tmp_path, name="", version="")
    callbacks = [LossWeightDecay(), TrainableEMA(), MaskReport(1), MaskVisualizer(2, 32, sampling_steps=0)]
    data = OrnamentDataModule(
        str(shard_dir / "train-*.tar"), str(shard_dir / "val-*.tar"), resolution=32, batch_size=2, samples_per_epoch=12
    )
    counting = CountCollectives(tmp_path)
    options = {"logger": logger, "log_every_n_steps": 1, "max_epochs": 1, "limit_val_batches": 1}
    trainer_of(tmp_path, 2, *callbacks, counting, **options).fit(build_module(sampler=Sampler(1)), data)
    for rank in range(2):
        assert [json.loads(line) for line in (tmp_path / f"sent-{rank}").read_text().splitlines()] == [[], [], []]
        assert "all_gather" in json.loads((tmp_path / f"validation-{rank}").read_text())
    logged = (tmp_path / "metrics.csv").read_text()
    assert "train/loss" in logged and "train/weight_mask" in logged and len(logged.splitlines()) >= 4


@pytest.mark.parametrize("damaged", [(), (0, 2, 4)])
def test_processes_with_unequally_many_batches_end_with_the_report_of_one(
    build_module: Build, tmp_path: Path, draw_entries: Any, write_shard: Any, damaged: tuple[int, ...]
) -> None:
    """Five samples, one to a batch; where three are damaged, the first process is left with none."""
    samples = {f"k{i}": draw_entries(i, **({"person__jpg": b"no image"} if i in damaged else {})) for i in range(5)}
    shard = write_shard(tmp_path / "val.tar", samples)

    def validate(name: str, processes: int) -> dict[str, Any]:
        data = OrnamentDataModule(str(shard), str(shard), resolution=32, batch_size=1)
        callbacks = [TrainableEMA(), MaskReport(), MaskVisualizer(2, 32, sampling_steps=1)]
        trainer = trainer_of(tmp_path / name, processes, *callbacks)
        trainer.validate(build_module(sampler=Sampler(1)), data, verbose=False)
        result: dict[str, Any] = json.loads((tmp_path / name / "result.json").read_text())
        return result

    one, two = validate("one", 1), validate("two", 2)
    assert one["num_samples"] == two["num_samples"] == 5 - len(damaged)
    assert two["threshold_from"] == one["threshold_from"] and two["threshold"] == one["threshold"]
    assert two["iou"] == pytest.approx(one["iou"], rel=1e-4)
    assert two["attention_iou"] == pytest.approx(one["attention_iou"], rel=1e-4)


def test_a_test_with_unequally_many_batches_reports_every_sample_once(
    build_module: Build, tmp_path: Path, draw_entries: Any, write_shard: Any
) -> None:
    shard = write_shard(tmp_path / "test.tar", {f"k{i}": draw_entries(i) for i in range(3)})

    def test(name: str, processes: int) -> dict[str, Any]:
        data = OrnamentDataModule(str(shard), str(shard), str(shard), resolution=32, batch_size=2)
        report = EvaluationReport(folder=tmp_path / name, shown=1, resamples=50)
        trainer_of(tmp_path / name, processes, report).test(build_module(sampler=Sampler(1)), data, verbose=False)
        content: dict[str, Any] = json.loads((tmp_path / name / "report.json").read_text())
        return content

    one, two = test("one", 1), test("two", 2)
    assert one["protocol"]["data"]["n"] == two["protocol"]["data"]["n"] == 3
    assert sorted(path.name for path in (tmp_path / "two" / "samples").iterdir()) == ["k0.png", "k1.png", "k2.png"]
