"""What ``--ckpt_path auto`` finds."""

import os
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from ornament_lit.checkpointing.resume import SameStart, checkpoint_folders, find_start, settle_start

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")


def trainer_of(folder: Path, version: str | None = "", **options: object) -> Trainer:
    logger = CSVLogger(folder, "run", version)
    return Trainer(accelerator="cpu", logger=logger, enable_progress_bar=False, **options)


def write(path: Path, time: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"global_step": time}, path)
    os.utime(path, (time, time))
    return path


def test_the_newest_whole_one_in_the_folder_of_the_run(tmp_path: Path) -> None:
    trainer, folder = trainer_of(tmp_path), tmp_path / "run" / "checkpoints"
    assert checkpoint_folders(trainer) == [folder]
    assert find_start(trainer) is None
    write(folder / "step-1.ckpt", 1)
    second = write(folder / "step-2.ckpt", 2)
    assert find_start(trainer) == second
    (folder / "last.ckpt").symlink_to("step-3.ckpt")
    assert find_start(trainer) == second, "a link to nothing is passed over"
    third = write(folder / "step-3.ckpt", 3)
    assert find_start(trainer) == third
    third.write_bytes(third.read_bytes()[:-10])
    write(folder / "step-4.ckpt.part", 4)
    assert find_start(trainer) == second, "damaged ones and parts are passed over"


def test_of_copies_with_one_time_the_last_name_is_the_newest(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "checkpoints"
    for step in ("000250", "001000", "000750"):
        os.utime(write(folder / f"step-{step}.ckpt", 1), (7, 7))
    assert find_start(trainer_of(tmp_path)) == folder / "step-001000.ckpt"


def test_folders_of_all_that_save(tmp_path: Path) -> None:
    callbacks = [ModelCheckpoint(tmp_path / name, monitor=name) for name in ("a", "b")]
    trainer = trainer_of(tmp_path, callbacks=callbacks)
    assert checkpoint_folders(trainer) == [tmp_path / "a", tmp_path / "b"]
    newest = write(tmp_path / "b" / "x.ckpt", 2)
    write(tmp_path / "a" / "x.ckpt", 1)
    assert find_start(trainer) == newest


@pytest.mark.parametrize("logger", [CSVLogger, TensorBoardLogger])
def test_a_logger_that_makes_a_new_folder_each_time_is_refused(tmp_path: Path, logger: type) -> None:
    trainer = Trainer(accelerator="cpu", logger=logger(tmp_path, "run"), enable_progress_bar=False)
    with pytest.raises(ValueError, match=r"set trainer\.logger\.version"):
        find_start(trainer)


def test_what_becomes_of_the_options(tmp_path: Path) -> None:
    trainer = trainer_of(tmp_path)
    options = {"ckpt_path": "some.ckpt"}
    settle_start("fit", trainer, options)
    assert options == {"ckpt_path": "some.ckpt"}
    options = {"ckpt_path": "auto"}
    with pytest.raises(FileNotFoundError, match="test needs a checkpoint, and --ckpt_path auto found none"):
        settle_start("test", trainer, dict(options))
    settle_start("fit", trainer, options)
    assert options == {"ckpt_path": None}
    assert sum(isinstance(one, SameStart) for one in trainer.callbacks) == 1


@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_measuring_weights_of_the_configuration_is_told(command: str, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=f"{command} without --ckpt_path: the weights are those of the configuration"):
        settle_start(command, trainer_of(tmp_path), {"ckpt_path": None})


def test_a_fit_and_a_checkpoint_need_no_such_words(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    settle_start("fit", trainer_of(tmp_path), {"ckpt_path": None})
    settle_start("test", trainer_of(tmp_path), {"ckpt_path": "some.ckpt"})
    assert not [one for one in recwarn if "--ckpt_path" in str(one.message)]


def test_processes_that_found_different_files_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(tmp_path)
    monkeypatch.setattr(trainer.strategy, "broadcast", lambda own: own)
    SameStart().on_fit_start(trainer, LightningModule())
    monkeypatch.setattr(trainer.strategy, "broadcast", lambda own: "first.ckpt")
    with pytest.raises(OSError, match=r"process 0 would resume from None, but process 0 from first\.ckpt"):
        SameStart().on_fit_start(trainer, LightningModule())
