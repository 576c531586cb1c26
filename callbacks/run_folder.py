"""Where a run keeps its files, and how they are written."""

import os
from pathlib import Path

from lightning.pytorch import Trainer


def run_folder(trainer: Trainer) -> Path:
    """Folder of the run: the logger's, or the trainer's default one. To be called on every rank (it is agreed on)."""
    return Path(trainer.log_dir or trainer.default_root_dir)


def write_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that whoever reads it never finds half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    aside.write_bytes(content)
    os.replace(aside, path)
