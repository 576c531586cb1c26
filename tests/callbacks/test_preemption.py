"""A run that is told to stop saves, ends with the right exit code, and goes on as if nothing had been."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from callbacks import Preemption
from callbacks.preemption import Preempted, _Handlers, requeue

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*LeafSpec",
    "ignore:.*not resumable",
    "ignore:.*does not have many workers",
    "ignore:.*exists and is not empty",
    "ignore:.*fork",
)
MakeTrainer = Callable[..., pl.Trainer]


class Line(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        return (self.weight * batch - 1).square()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


class Tell(pl.Callback):
    """Sends a signal to one process in the middle of a step, and writes the losses down."""

    def __init__(self, folder: Path, step: int | None = None, number: int = signal.SIGTERM, rank: int = 0) -> None:
        self.folder, self.step, self.number, self.rank = folder, step, number, rank

    def on_before_backward(self, trainer: pl.Trainer, module: Any, loss: torch.Tensor) -> None:
        if trainer.global_step == self.step and trainer.global_rank == self.rank:
            os.kill(os.getpid(), self.number)

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        with (self.folder / f"losses-{trainer.global_rank}").open("a") as log:
            log.write(f"{trainer.global_step} {float(outputs['loss']).hex()}\n")


def losses(folder: Path, rank: int = 0) -> list[str]:
    return (folder / f"losses-{rank}").read_text().splitlines()


def fit(make_trainer: MakeTrainer, folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    checkpoint = options.pop("checkpoint", None)
    trainer = make_trainer(*callbacks, max_epochs=1, default_root_dir=folder, **options)
    data = DataLoader(torch.full((8,), 2.0), batch_size=None)  # cannot go on in mid-epoch, so all batches are the same
    trainer.fit(Line(), data, ckpt_path=checkpoint, weights_only=True)
    return trainer


@pytest.fixture
def make_trainer() -> MakeTrainer:
    def build(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        return pl.Trainer(callbacks=list(callbacks), enable_checkpointing=False, **quiet, **options)

    return build


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_save_end_and_go_on_to_the_last_bit(make_trainer: MakeTrainer, tmp_path: Path, number: int) -> None:
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    straight.mkdir()
    stopped.mkdir()
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)]
    fit(make_trainer, straight, Tell(straight), Preemption())
    assert len(losses(straight)) == 8
    with pytest.raises(Preempted) as end:
        fit(make_trainer, stopped, Tell(stopped, 3, number), Preemption())
    assert end.value.code == 75
    assert losses(stopped) == losses(straight)[:4], "the step in which the signal comes is finished"
    assert [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)] == handlers
    fit(make_trainer, stopped, Tell(stopped), Preemption(), checkpoint=stopped / "checkpoints" / "last.ckpt")
    assert losses(stopped) == losses(straight), "nothing is lost and nothing is done twice"


@pytest.mark.filterwarnings("ignore:.*multi-threaded", "ignore:.*sync_dist", "ignore:.*distributed sampler")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_one_process_ends_both(make_trainer: MakeTrainer, tmp_path: Path, rank: int) -> None:
    start = time.monotonic()
    with pytest.raises(Exception, match="exit code 75"):
        fit(make_trainer, tmp_path, Tell(tmp_path, 1, rank=rank), Preemption(), strategy="ddp_fork", devices=2)
    assert time.monotonic() - start < 20
    assert len(losses(tmp_path, 0)) == len(losses(tmp_path, 1)) == 2
    saved = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2


def test_the_checkpoint_lies_where_the_others_do(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    saving = ModelCheckpoint(tmp_path / "mine", "{step}", every_n_train_steps=2, save_last="link")
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(callbacks=[Tell(tmp_path, 2), Preemption(), saving], max_epochs=1, **quiet)
    with pytest.raises(Preempted):
        trainer.fit(Line(), DataLoader(torch.linspace(0.5, 2, 8), batch_size=None))
    steps = {path.name: torch.load(path, weights_only=True)["global_step"] for path in (tmp_path / "mine").iterdir()}
    assert steps == {"step=2.ckpt": 2, "last.ckpt": 3}


def test_forked_processes_obey(make_trainer: MakeTrainer) -> None:
    handlers = _Handlers(make_trainer(), Preemption())
    handlers.register_signal_handlers()
    try:
        worker = get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
        time.sleep(0.2)
        worker.terminate()
        worker.join(5)
    finally:
        handlers.teardown()
    assert worker.exitcode == -signal.SIGTERM


@pytest.fixture
def scontrol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that writes down how it was called."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "scontrol"
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n[ "$2" != 13 ] || {{ echo no such job >&2; exit 1; }}\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return tmp_path / "calls"


def test_requeue(make_trainer: MakeTrainer, tmp_path: Path, scontrol: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4242")
    with pytest.raises(Preempted):
        fit(make_trainer, tmp_path, Tell(tmp_path, 1), Preemption(requeue=True))
    assert scontrol.read_text() == "requeue 4242\n"
    assert (tmp_path / "checkpoints" / "last.ckpt").is_file()


def test_what_is_put_back_into_the_queue(scontrol: Path) -> None:
    requeue({})
    requeue({"SLURM_JOB_ID": "7; touch x"})
    assert not scontrol.exists()
    requeue({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "3"})
    assert scontrol.read_text() == "requeue 8_3\n"
    with pytest.warns(UserWarning, match="scontrol requeue 13 failed: no such job; put the job back"):
        requeue({"SLURM_JOB_ID": "13"})


def test_twice_is_refused(make_trainer: MakeTrainer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="more than once"):
        fit(make_trainer, tmp_path, Preemption(), Preemption(signals=["SIGUSR2"]))


@pytest.mark.parametrize("signals", [[], "SIGTERM", ["SIGKILL"], ["SIGNOPE"]])
def test_wrong_signals(signals: Any) -> None:
    with pytest.raises(ValueError, match="signals must list names"):
        Preemption(signals=signals)


@pytest.mark.parametrize("code", [0, 256])
def test_wrong_exit_code(code: int) -> None:
    with pytest.raises(ValueError, match=f"exit_code must be in 1 to 255.*got {code}"):
        Preemption(exit_code=code)
