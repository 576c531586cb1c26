import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from callbacks import RunLock

pytestmark = pytest.mark.filterwarnings("ignore:.*exists and is not empty", "ignore:.*LeafSpec")
HOLDER = """
import fcntl, sys, time
file = open(sys.argv[1], "a+")
fcntl.lockf(file, fcntl.LOCK_EX)
file.truncate(0)
file.write("process 7 on elsewhere")
file.flush()
print("held", flush=True)
time.sleep(600)
"""


def test_a_second_fit_in_the_folder_is_refused_until_the_first_is_gone(
    make_trainer: Callable[..., Trainer], module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    folder = tmp_path / "run" / "checkpoints"
    folder.parent.mkdir()
    other = subprocess.Popen([sys.executable, "-c", HOLDER, f"{folder}.lock"], stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None and other.stdout.readline() == "held\n"

    def fit(where: Path) -> None:
        trainer = make_trainer(RunLock(), ModelCheckpoint(where), enable_checkpointing=True, max_epochs=1)
        trainer.fit(module, data)

    try:
        with pytest.raises(ValueError, match=r"another fit writes to .*checkpoints \(process 7 on elsewhere\)"):
            fit(folder)
        assert not folder.exists()
        fit(tmp_path / "other")
    finally:
        other.kill()
        other.wait()
    fit(folder)
    fit(folder)
    assert f"process {os.getpid()} on " in (tmp_path / "run" / "checkpoints.lock").read_text()


def test_without_checkpoints_there_is_nothing_to_lock(
    make_trainer: Callable[..., Trainer], module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    make_trainer(RunLock(), max_epochs=1).fit(module, data)
    assert not list(tmp_path.rglob("*.lock"))


@pytest.mark.filterwarnings("ignore:.*multi-threaded", "ignore:.*fork", "ignore:.*sync_dist")
def test_two_processes_of_one_fit_share_the_lock(
    make_trainer: Callable[..., Trainer], module: LightningModule, data: LightningDataModule, tmp_path: Path
) -> None:
    options = {"enable_checkpointing": True, "max_epochs": 1, "strategy": "ddp_fork", "devices": 2}
    make_trainer(RunLock(), ModelCheckpoint(tmp_path / "saved"), **options).fit(module, data)
    assert list((tmp_path / "saved").glob("*.ckpt"))
