"""``--ckpt_path auto``: resume from the newest complete checkpoint of a run's folder, or start."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn

from ornament_lit.checkpointing.latest import LAST, local_path, newest_whole

AUTO = "auto"


def checkpoint_folders(trainer: Trainer) -> list[Path]:
    """Local folders that the run writes checkpoints to; the first one is that of the first ModelCheckpoint."""
    callbacks = [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]
    # the folder is settled in setup only, by this method
    folders = [getattr(one, "_ModelCheckpoint__resolve_ckpt_dir")(trainer) for one in callbacks]  # noqa: B009
    found = [local_path(folder) for folder in folders] or [Path(trainer.default_root_dir) / "checkpoints"]
    return list(dict.fromkeys(folder for folder in found if folder is not None))


def save_last(trainer: Trainer) -> Path | str:
    """Write ``last.ckpt`` into the run's folder of checkpoints; to be called on each rank, between two steps.

    Returns:
        Where it is.
    """
    folders = checkpoint_folders(trainer)
    path = (folders[0] if folders else Path(trainer.default_root_dir)) / LAST
    path = Path(trainer.strategy.broadcast(str(path)))
    trainer.save_checkpoint(path, weights_only=False)  # with the optimizer
    return path


def find_start(trainer: Trainer) -> Path | None:
    """The checkpoint that ``auto`` means.

    Raises:
        ValueError: If each start of the run writes to a folder of its own, in which there never is one.
    """
    logger = trainer.logger
    if isinstance(logger, TensorBoardLogger | CSVLogger) and logger._version is None:
        raise ValueError(
            "ckpt_path auto looks into the folder of the run, but this logger makes a new one at each start; set "
            "trainer.logger.version, for example to an empty string"
        )
    folders = checkpoint_folders(trainer)
    newest = newest_whole(*folders)
    where = " and ".join(map(str, folders))
    rank_zero_info(f"resuming from {newest}" if newest else f"no checkpoint in {where}: starting from the beginning")
    return newest


def settle_start(command: str, trainer: Trainer, options: dict[str, Any], chosen: bool = False) -> None:
    """Put the checkpoint that ``auto`` means into the options of a command; tell where a measurement has none.

    Args:
        command: ``fit``, ``validate``, ``test`` or ``predict``.
        trainer: Gets a callback that compares the processes.
        options: With ``ckpt_path``.
        chosen: Whether the weights were taken from elsewhere, so that no checkpoint is missed.

    Raises:
        FileNotFoundError: If there is none, and something else than a training needs it.
        ValueError: See :func:`find_start`.
    """
    if options.get("ckpt_path") is None and command != "fit" and not chosen:
        rank_zero_warn(
            f"{command} without --ckpt_path: the weights are those of the configuration, random where it names none"
        )
    if options.get("ckpt_path") != AUTO:
        return
    options["ckpt_path"] = find_start(trainer)
    if options["ckpt_path"] is None and command != "fit":
        raise FileNotFoundError(f"{command} needs a checkpoint, and --ckpt_path auto found none; train first")
    trainer.callbacks.append(SameStart())  # type: ignore[attr-defined]


def resumes_by_itself(trainer: Trainer) -> bool:
    """Whether the run is resumed from what ``auto`` has found, not from a checkpoint that the user named."""
    return any(isinstance(one, SameStart) for one in trainer.callbacks)  # type: ignore[attr-defined]


class SameStart(Callback):
    """Check that all processes resume from the same checkpoint."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare with the first process.

        Raises:
            OSError: If a file system shows the processes different files.
        """
        own = str(trainer.ckpt_path)
        first = trainer.strategy.broadcast(own)
        if first != own:
            raise OSError(
                f"process {trainer.global_rank} would resume from {own}, but process 0 from {first}; start again, when "
                "all machines see the same files"
            )
