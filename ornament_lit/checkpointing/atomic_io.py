"""AtomicCheckpointIO: a checkpoint is there as a whole or not at all, and the one before it stays until then."""

import logging
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from lightning.fabric.plugins import CheckpointIO
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ornament_lit.checkpointing.latest import LAST, is_whole, local_path, newest_first, newest_whole
from ornament_lit.checkpointing.state import check_names, foreign, refusal
from ornament_lit.utils.files import ASIDE, atomic_path

RETRY_SECONDS = 2.0
logger = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, has it on the disk, checks it, and only then renames it.

    A run that dies while it saves, or whose disk is full, leaves the earlier checkpoint as it was. Training with our
    command line uses it without being told; another one is named in ``trainer.plugins``. Addresses such as ``s3://``
    are written as Lightning does.
    """

    def save_checkpoint(
        self,
        checkpoint: dict[str, Any],
        path: str | Path,
        storage_options: Any = None,  # noqa: ANN401
    ) -> None:
        """Write a checkpoint; a failure is tried once more.

        Args:
            checkpoint: What Lightning has collected.
            path: Where to; folders are made, and a link there is replaced, not followed.
            storage_options: Refused, as Lightning does.

        Raises:
            OSError: If it cannot be written, with the bytes needed and free, and the checkpoint that is left.
        """
        place = local_path(path)
        if place is None or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        try:
            write_whole(checkpoint, place)
        except OSError as error:
            logger.warning("checkpoint %s: %s; one more try", place, error)
            time.sleep(RETRY_SECONDS)
            try:
                write_whole(checkpoint, place)
            except OSError as again:
                raise OSError(again.errno, _explain(again, checkpoint, place)) from again

    def load_checkpoint(
        self,
        path: str | Path,
        map_location: Any = lambda storage, location: storage,  # noqa: ANN401
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a checkpoint.

        Args:
            path: A file that was saved.
            map_location: As in ``torch.load``.
            weights_only: As in ``torch.load``; None where Lightning reads what its processes hand to each other, which
                is no checkpoint of a training.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If it is a folder, is damaged, holds pickled objects, or is no checkpoint of a training. A
                readable one beside it is named, where that helps.
        """
        place = local_path(path)
        if place is not None and not place.exists():
            raise FileNotFoundError(f"there is no checkpoint {place}{_advice(place.parent)}")
        if place is not None and place.is_dir():
            raise ValueError(f"a checkpoint is a file, and {place} is a folder{_advice(place, 'in')}")
        try:
            checkpoint = super().load_checkpoint(path, map_location, weights_only)
        except (RuntimeError, ValueError, KeyError, OSError, EOFError, UnpicklingError) as error:
            if place is not None and not is_whole(place):
                raise ValueError(f"{place} is no checkpoint, or is damaged{_advice(place.parent)}") from error
            if isinstance(error, UnpicklingError):
                raise ValueError(refusal(path)) from error
            raise
        if weights_only is not None and not (isinstance(checkpoint, dict) and "state_dict" in checkpoint):
            raise ValueError(foreign(path))
        if weights_only is not None:
            check_names(path, checkpoint["state_dict"])
        return checkpoint

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint; a link ``last.ckpt`` to it is turned to the newest complete one before."""
        place = local_path(path)
        link = place.with_name(LAST) if place else None
        if place and link and link.is_symlink() and link.resolve() == place.resolve():
            others = [other for other in newest_first(place.parent) if other.resolve() != place.resolve()]
            newest = next((other for other in others if is_whole(other, thoroughly=False)), None)
            if newest:
                link_last(newest)
        super().remove_checkpoint(path)


def link_last(target: Path) -> None:
    """Let ``last.ckpt`` beside a checkpoint be a link to it, in place of what is there."""
    link = target.with_name(LAST)
    with atomic_path(link) as aside:
        aside.unlink(missing_ok=True)
        aside.symlink_to(target.name)


def plugins_with_io(trainer_options: Mapping[str, Any]) -> list[Any]:
    """Plugins of a trainer, with an :class:`AtomicCheckpointIO` unless they or the strategy bring another way to save.

    Args:
        trainer_options: Arguments of ``Trainer``.
    """
    plugins = trainer_options.get("plugins") or []
    plugins = list(plugins) if isinstance(plugins, list | tuple) else [plugins]
    chosen = [*plugins, getattr(trainer_options.get("strategy"), "_checkpoint_io", None)]
    return plugins if any(isinstance(one, CheckpointIO) for one in chosen) else [*plugins, AtomicCheckpointIO()]


def write_whole(checkpoint: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint aside, check it, and rename it; nothing is left of one that fails.

    Args:
        checkpoint: What ``torch.save`` takes.
        path: Where to.

    Raises:
        OSError: If that fails; what was there before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f"*.ckpt{ASIDE}"):  # of runs that were killed
        left.unlink(missing_ok=True)
    with atomic_path(path, durable=True) as aside:
        with aside.open("wb") as file, _first_cause():
            torch.save(checkpoint, file)
        if not is_whole(aside, thoroughly=False):
            raise OSError(f"what was written to {aside} cannot be read back")


@contextmanager
def _first_cause() -> Iterator[None]:
    """Let what ends ``torch.save`` come out as itself: torch covers a full disk, or a stop, by an error of its own."""
    handled = sys.exc_info()[1]
    try:
        yield
    except RuntimeError as error:
        causes = list(takewhile(lambda cause: cause is not handled, _contexts(error)))
        cause = next((cause for cause in causes if isinstance(cause, OSError | KeyboardInterrupt)), None)
        if cause is None:
            raise
        raise cause from None


def _contexts(error: BaseException | None) -> Iterator[BaseException]:
    """An error, the one it was raised over, and so on."""
    while error is not None:
        yield error
        error = error.__context__


def _advice(folder: Path, where: str = "beside") -> str:
    """Name the newest checkpoint of a folder that is whole and holds nothing but weights and plain values."""
    newest = next((path for path in newest_first(folder) if is_whole(path) and _is_plain(path)), None)
    return f"; the newest complete one {where} it is {newest}" if newest else f"; there is no complete one {where} it"


def _is_plain(path: Path) -> bool:
    """Whether torch reads a whole checkpoint without unpickling; the weights are mapped, not read."""
    try:
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (UnpicklingError, RuntimeError, ValueError):
        return False
    return True


def _explain(error: OSError, checkpoint: Mapping[str, Any], path: Path) -> str:
    """What is wrong, how much room there is, and what is left."""
    needed = sum(leaf.nbytes for leaf in tree_leaves(checkpoint) if isinstance(leaf, Tensor))
    folder = next(folder for folder in path.parents if folder.exists())
    free = shutil.disk_usage(folder).free
    newest = newest_whole(path.parent)
    left = f"{newest} is intact" if newest else "there is no earlier one"
    return (
        f"the checkpoint {path} could not be written: {error.strerror or error}; it needs {needed:,} bytes, and "
        f"{free:,} are free; {left}; make room (or give the right to write), and resume with --ckpt_path auto"
    )
