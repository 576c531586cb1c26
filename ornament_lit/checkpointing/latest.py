"""Which checkpoints of a folder are whole."""

from pathlib import Path
from zipfile import BadZipFile, ZipFile

from lightning.fabric.utilities.cloud_io import _is_local_file_protocol

LAST = "last.ckpt"


def local_path(path: str | Path) -> Path | None:
    """The path of a local file; None for an address elsewhere."""
    return Path(str(path).removeprefix("file://")) if _is_local_file_protocol(path) else None


def is_whole(path: Path, thoroughly: bool = True) -> bool:
    """Whether a file is a checkpoint with nothing missing.

    Args:
        path: A file that ``torch.save`` wrote.
        thoroughly: Read all of it and compare the checksums; otherwise the table of contents, at its end, only.
    """
    try:
        with ZipFile(path) as archive:
            return bool(archive.namelist()) and not (thoroughly and archive.testzip())
    except (BadZipFile, OSError, EOFError, ValueError):
        return False


def newest_whole(*folders: Path) -> Path | None:
    """The newest checkpoint of some folders; damaged ones, and links to nothing, are passed over.

    A file whose name is a link counts as what it points to.
    """
    return next((path for path in newest_first(*folders) if is_whole(path)), None)


def newest_first(*folders: Path) -> list[Path]:
    """Checkpoints by the time of their writing (copies of one time by name); of two names the one that is no link."""
    found = {}
    for path in sorted(path for folder in folders for path in folder.glob("*.ckpt")):
        if path.is_file() and not (path.is_symlink() and path.resolve() in found):
            found[path.resolve()] = path.resolve() if path.is_symlink() else path
    return sorted(found.values(), key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
