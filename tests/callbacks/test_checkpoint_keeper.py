from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import CheckpointKeeper
from ornament_lit.checkpointing.atomic_io import AtomicCheckpointIO
from ornament_lit.checkpointing.resume import SameStart

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty", "ignore:.*LeafSpec")
Fit = Callable[..., None]


class Kill(Callback):
    """Ends a fit as a kill would, in the middle of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            raise InterruptedError


@pytest.fixture
def fit(
    make_trainer: Callable[..., Trainer], build_module: type[LightningModule], data: LightningDataModule, tmp_path: Path
) -> Fit:
    """Train for 5 epochs of 2 steps, with a checkpoint every 3 steps."""

    def run(*callbacks: Callback, path: str | None = None, auto: bool = False, **options: Any) -> None:
        settings = {"filename": "step-{step}", "auto_insert_metric_name": False, "every_n_train_steps": 3}
        settings |= {"save_last": "link", "enable_version_counter": False, **options}
        saving = ModelCheckpoint(tmp_path, **settings)
        added = [SameStart()] if auto else []
        several = {
            "enable_checkpointing": True,
            "plugins": [AtomicCheckpointIO()],
            "max_epochs": 5,
            "max_steps": 10,
            "limit_val_batches": 0,
        }
        trainer = make_trainer(CheckpointKeeper(), *added, *callbacks, saving, **several)
        start = None if path is None else tmp_path / path
        trainer.fit(build_module(), data, ckpt_path=start, weights_only=start and True)

    return run


def steps(folder: Path) -> dict[str, int]:
    return {path.name: torch.load(path, weights_only=True)["global_step"] for path in sorted(folder.glob("*.ckpt"))}


def test_the_last_steps_are_in_the_last_checkpoint(fit: Fit, tmp_path: Path) -> None:
    fit()
    assert steps(tmp_path) == {"last.ckpt": 10, "step-9.ckpt": 9}


def test_nothing_is_written_where_no_last_checkpoint_is_wanted(fit: Fit, tmp_path: Path) -> None:
    fit(save_last=None)
    assert steps(tmp_path) == {"step-9.ckpt": 9}


def test_a_resumed_run_leaves_no_older_checkpoints(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fit(Kill(4))
    assert steps(tmp_path) == {"last.ckpt": 3, "step-3.ckpt": 3}
    fit(path="step-3.ckpt", auto=True)
    assert steps(tmp_path) == {"last.ckpt": 10, "step-9.ckpt": 9}


def test_a_checkpoint_that_was_named_stays(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fit(Kill(4))
    fit(path="step-3.ckpt")
    assert steps(tmp_path) == {"last.ckpt": 10, "step-3.ckpt": 3, "step-9.ckpt": 9}


def test_a_kill_between_writing_and_removing_leaves_nothing(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(ModelCheckpoint, "_remove_checkpoint", kill)
        with pytest.raises(InterruptedError):
            fit()
    assert steps(tmp_path) == {"last.ckpt": 3, "step-3.ckpt": 3, "step-6.ckpt": 6}
    with pytest.raises(InterruptedError):
        fit(Kill(7), path="step-6.ckpt", auto=True)
    assert steps(tmp_path).keys() == {"last.ckpt", "step-6.ckpt"}


@pytest.mark.parametrize(
    ("place", "options", "left"),
    [
        ("_remove_checkpoint", {"every_n_train_steps": 5}, {"last.ckpt": 5, "step-10.ckpt": 10, "step-5.ckpt": 5}),
        ("_save_last_checkpoint", {"every_n_train_steps": 5, "save_last": True}, {"last.ckpt": 5, "step-10.ckpt": 10}),
        ("_save_last_checkpoint", {"every_n_train_steps": 10}, {"step-10.ckpt": 10}),
    ],
)
def test_a_kill_after_the_very_last_checkpoint_is_made_up_for(
    fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, options: dict[str, Any], left: dict[str, int]
) -> None:
    original = getattr(ModelCheckpoint, place)

    def kill(saving: ModelCheckpoint, trainer: Trainer, *arguments: object) -> None:
        if trainer.global_step == 10:
            raise InterruptedError
        original(saving, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(ModelCheckpoint, place, kill)
        with pytest.raises(InterruptedError):
            fit(**options)
    assert steps(tmp_path) == left
    fit(path="step-10.ckpt", auto=True, **options)
    assert steps(tmp_path) == {"last.ckpt": 10, "step-10.ckpt": 10}


@pytest.mark.parametrize("options", [{"save_top_k": -1}, {"save_top_k": 2, "monitor": "step", "mode": "max"}])
def test_what_is_to_be_kept_stays(fit: Fit, tmp_path: Path, options: dict[str, Any]) -> None:
    fit(**options)
    expected = steps(tmp_path)
    for path in tmp_path.glob("*.ckpt"):
        path.unlink()
    with pytest.raises(InterruptedError):
        fit(Kill(7), **options)
    fit(path="step-6.ckpt", auto=True, **options)
    assert steps(tmp_path) == expected


def test_checkpoints_of_another_folder_are_not_touched(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(InterruptedError):
        fit(Kill(4))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "step-3.ckpt").rename(elsewhere / "step-3.ckpt")
    (tmp_path / "last.ckpt").unlink()
    fit(path="elsewhere/step-3.ckpt", auto=True)
    assert steps(elsewhere) == {"step-3.ckpt": 3} and steps(tmp_path) == {"last.ckpt": 10, "step-9.ckpt": 9}
