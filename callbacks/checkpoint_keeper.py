"""CheckpointKeeper: the checkpoints of a run are those that were asked for, also after kills."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from ornament_lit.checkpointing.atomic_io import link_last
from ornament_lit.checkpointing.latest import LAST
from ornament_lit.checkpointing.resume import checkpoint_folders, resumes_by_itself, save_last

KEY = "superseded_checkpoints"


class CheckpointKeeper(Callback):
    """Write ``last.ckpt`` when a fit ends, and remove checkpoints that later ones have superseded.

    ``ModelCheckpoint`` writes every few steps, so that the last steps of a fit may be in none of its files, and leaves
    the file that a run was resumed from, or the older one where it was killed between writing and removing. So each
    checkpoint notes which others it supersedes, and these are removed when it is whole. A checkpoint that the user
    named in ``--ckpt_path`` stays, and nothing is removed where a ``ModelCheckpoint`` keeps all (``save_top_k=-1``).
    ``fit`` always has this callback.
    """

    def __init__(self) -> None:
        """Know of no checkpoint."""
        self._kept: set[str] = set()
        self._superseded: set[str] = set()

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take over which checkpoints the one of a resumed run supersedes."""
        self._superseded = set(checkpoint.get(KEY, ()))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove what a kill has left."""
        self._kept = _kept(trainer)
        self._remove(trainer)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remove what earlier checkpoints supersede, which are whole by now, and note what this one does."""
        self._remove(trainer)
        before, self._kept = self._kept, _kept(trainer)
        self._superseded = before - self._kept
        checkpoint[KEY] = sorted(self._superseded)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last steps, if no checkpoint has them, and tidy up."""
        saving = [one for one in _checkpoints(trainer) if one.save_last]
        if saving and all(one._last_global_step_saved != trainer.global_step for one in saving) and trainer.global_step:
            save_last(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tidy up; a kill may have come between the very last checkpoint and the ``last.ckpt`` that is to be it."""
        self._remove(trainer)
        if trainer.is_global_zero and trainer.ckpt_path and resumes_by_itself(trainer):
            start = Path(trainer.ckpt_path)
            folders = [Path(one.dirpath).absolute() for one in _checkpoints(trainer) if one.save_last and one.dirpath]
            if start.parent.absolute() in folders and start.exists() and _is_older(start.with_name(LAST), start):
                link_last(start)

    def _remove(self, trainer: Trainer) -> None:
        folders = [folder.absolute() for folder in checkpoint_folders(trainer)]
        named = None if resumes_by_itself(trainer) or not trainer.ckpt_path else Path(trainer.ckpt_path).absolute()
        for name in self._superseded - _kept(trainer):
            path = Path(name).absolute()
            if path.parent in folders and path != named and path.exists():
                trainer.strategy.remove_checkpoint(path)
        self._superseded = set()


def _is_older(path: Path, other: Path) -> bool:
    return not path.exists() or path.stat().st_mtime_ns < other.stat().st_mtime_ns


def _checkpoints(trainer: Trainer) -> list[ModelCheckpoint]:
    return [one for one in trainer.checkpoint_callbacks if isinstance(one, ModelCheckpoint)]


def _kept(trainer: Trainer) -> set[str]:
    """The checkpoints that are to be there, as far as others are to go."""
    saving = _checkpoints(trainer)
    if any(one.save_top_k == -1 for one in saving):
        return set()
    limited = [one for one in saving if one.save_top_k > 0]
    return {path for one in limited for path in (one.best_k_models if one.monitor else [one.best_model_path]) if path}
