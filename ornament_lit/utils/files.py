"""How files are written, whole or not at all, and whether they can be: to be asked before the work."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

ASIDE = ".part"
"""Ending of what is being written."""
BLOCK = 4096


def write_file(path: Path, content: bytes) -> None:
    """Write a file aside and rename it, so that whoever reads it never finds half of it; folders are made.

    Raises:
        OSError: If it cannot be written, with the file's name; what was there before is as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as aside:
        aside.write_bytes(content)


@contextmanager
def atomic_path(path: Path, durable: bool = False) -> Iterator[Path]:
    """A name beside a file's to write to. It becomes the file at the end; nothing is left of what fails.

    Args:
        path: The file; its folder exists.
        durable: Wait until the file and its name are on the disk, so that it outlives a crash of the machine.

    Yields:
        Where to write.

    Raises:
        OSError: If it cannot be written, with the file's name.
    """
    aside = path.with_name(f"{path.name}{ASIDE}")
    try:
        yield aside
        if durable:
            _sync(aside)
        os.replace(aside, path)
        if durable:
            _sync(path.parent)
    except BaseException as error:
        aside.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(aside)):
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def _sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_file(path: Path) -> None:
    """Check, before the work, that a file can be written; folders that are not there will be made.

    Args:
        path: The file; one that is there will be replaced.

    Raises:
        OSError: If it is a folder, or its folder takes no file.
    """
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, and shall be a file; give a file's name")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Check, before the work, that files can be written into a folder, by writing one without a name.

    Args:
        folder: The folder; where it is not there, the nearest one above it, in which it will be made, is tried.

    Raises:
        OSError: If it is a file or lies below one, there is no right to write, or the disk is full.
    """
    try:
        nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists() or place.is_symlink())
        with TemporaryFile(dir=nearest) as file:
            file.write(bytes(BLOCK))
    except NotADirectoryError as error:
        raise NotADirectoryError(f"{folder} cannot be a folder: {nearest} is a file; give another place") from error
    except OSError as error:
        raise type(error)(f"nothing can be written to {folder} ({error.strerror}); give another place") from error


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
