"""Where a run keeps its files."""

from pathlib import Path

from lightning.pytorch import Trainer


def run_folder(trainer: Trainer) -> Path:
    """Folder of the run: the logger's, or the trainer's default one. To be called on every rank (it is agreed on)."""
    return Path(trainer.log_dir or trainer.default_root_dir)
