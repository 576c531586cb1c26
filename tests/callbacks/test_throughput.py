"""Throughput on steps and loaders that take a known time."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers.logger import DummyLogger

from callbacks import Throughput

NAMES = ("samples_per_second", "loader_wait", "memory_gib")


class Notes(DummyLogger):
    """A logger that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        values = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith("throughput/")}
        if values:
            self.rows.append((step or 0, values))


class Paced:
    """Batches of four that take a while each."""

    def __init__(self, batches: list[Any], wait: float) -> None:
        self.batches, self.wait = batches, wait

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches:
            time.sleep(self.wait)
            yield batch


@pytest.fixture
def train(make_trainer: Callable[..., Trainer], build_module: Any, data: Any) -> Callable[..., Notes]:
    def run(callback: Throughput, wait: float = 0.0, work: float = 0.0, pause: float = 0.0, **options: Any) -> Notes:
        module, notes = build_module(), Notes()
        step, validate = module.training_step, module.validation_step
        module.training_step = lambda batch, batch_idx: (time.sleep(work), step(batch, batch_idx))[1]
        module.validation_step = lambda batch, batch_idx: (time.sleep(pause), validate(batch, batch_idx))[1]
        batch = next(iter(data.train_dataloader()))
        defaults = {"max_epochs": 1, "log_every_n_steps": 4, "num_sanity_val_steps": 0}
        trainer = make_trainer(callback, **{**defaults, "logger": notes, **options})
        trainer.fit(module, Paced([batch] * 8, wait), data.val_dataloader())
        return notes

    return run


def test_pace_and_waiting(train: Callable[..., Notes]) -> None:
    notes = train(Throughput(), wait=0.03, work=0.01)
    assert [step for step, _ in notes.rows] == [4, 8]
    last = notes.rows[-1][1]
    assert set(last) == set(NAMES)
    assert 30 < last["samples_per_second"] <= 100
    assert 0.4 < last["loader_wait"] < 0.9
    assert last["memory_gib"] > 0.05


def test_a_loader_that_is_quick_is_not_waited_for(train: Callable[..., Notes]) -> None:
    assert train(Throughput(), work=0.05).rows[-1][1]["loader_wait"] < 0.3


def test_validations_do_not_count(train: Callable[..., Notes]) -> None:
    notes = train(Throughput(), work=0.01, pause=0.4, val_check_interval=2, log_every_n_steps=8)
    assert [step for step, _ in notes.rows] == [8]
    assert notes.rows[0][1]["samples_per_second"] > 100
    assert notes.rows[0][1]["loader_wait"] < 0.5


def test_writing_checkpoints_is_not_waiting(build_module: Any, data: Any, tmp_path: Path) -> None:
    class SlowCheckpoint(ModelCheckpoint):
        def _save_checkpoint(self, trainer: Trainer, filepath: str) -> None:
            super()._save_checkpoint(trainer, filepath)
            time.sleep(0.3)

    notes, batch = Notes(), next(iter(data.train_dataloader()))
    saving = SlowCheckpoint(tmp_path, every_n_train_steps=2)
    options = {"max_epochs": 1, "log_every_n_steps": 4, "logger": notes, "limit_val_batches": 0}
    defaults = {"accelerator": "cpu", "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(callbacks=[Throughput(), saving], **defaults, **options)
    trainer.fit(build_module(), Paced([batch] * 8, 0.0))
    assert saving.best_model_path
    assert notes.rows[-1][1]["loader_wait"] < 0.2
    assert notes.rows[-1][1]["samples_per_second"] < 16 / 0.3


def test_share_of_the_peak(train: Callable[..., Notes]) -> None:
    values = train(Throughput(tflop_per_sample=2.0, peak_tflops=400.0), work=0.01).rows[-1][1]
    assert values["mfu"] == pytest.approx(values["samples_per_second"] * 2.0 / 400.0)


def test_a_device_whose_peak_is_unknown_has_no_share(train: Callable[..., Notes]) -> None:
    assert "mfu" not in train(Throughput(tflop_per_sample=2.0)).rows[-1][1]


def test_accumulated_steps_are_logged_once(train: Callable[..., Notes]) -> None:
    notes = train(Throughput(), work=0.01, accumulate_grad_batches=2, log_every_n_steps=2)
    assert [step for step, _ in notes.rows] == [2, 4]


def test_without_a_logger_nothing_is_measured(train: Callable[..., Notes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("callbacks.throughput.now", lambda device: pytest.fail("measured"))
    assert train(Throughput(), logger=False).rows == []


@pytest.mark.parametrize("name", ["tflop_per_sample", "peak_tflops"])
def test_numbers_are_above_zero(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be above 0, got 0"):
        Throughput(**{name: 0.0})
