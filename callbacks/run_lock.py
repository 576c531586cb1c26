"""RunLock: two trainings do not write to one folder."""

import errno
import fcntl
import os
import socket
from datetime import datetime
from pathlib import Path
from typing import IO

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn

from ornament_lit.checkpointing.resume import checkpoint_folders

HELD = (errno.EACCES, errno.EAGAIN)


class RunLock(Callback):
    """Refuse a fit whose folder of checkpoints another fit writes to.

    The first process holds a lock on ``checkpoints.lock`` beside the folder, which tells who has it. The system gives
    it back when the process ends, however that happens. Without a ``ModelCheckpoint`` there is nothing to lock.
    ``fit`` always has this callback.

    Raises:
        ValueError: When the fit is set up, on all processes, if another one has the lock.
    """

    def __init__(self) -> None:
        """Hold nothing."""
        self._files: list[IO[str]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Take the lock."""
        if stage != "fit" or not any(isinstance(one, ModelCheckpoint) for one in trainer.checkpoint_callbacks):
            return
        folders = checkpoint_folders(trainer)  # a broadcast: every rank takes part
        held = next(filter(None, map(self._take, folders)), None) if trainer.is_global_zero else None
        held = trainer.strategy.broadcast(held)
        if held:
            self._release()
            raise ValueError(held)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the lock back."""
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the lock back."""
        self._release()

    def _take(self, folder: Path) -> str | None:
        """Lock a folder, or say who has it."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        path = folder.with_name(f"{folder.name}.lock")
        file = path.open("a+", encoding="utf-8")
        self._files.append(file)
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in HELD:
                rank_zero_warn(f"{path} cannot be locked ({error.strerror}): see to it that one fit alone writes there")
                return None
            file.seek(0)
            return (
                f"another fit writes to {folder} ({file.read().strip() or 'it does not say which'}); stop it, or give "
                "this one a folder of its own, for example by --trainer.logger.init_args.name"
            )
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {datetime.now():%Y-%m-%d %H:%M:%S}\n")
        file.flush()
        return None

    def _release(self) -> None:
        for file in self._files:
            file.close()
        self._files = []
