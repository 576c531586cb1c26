"""What the user points at: a manifest, folders of types, or a foreign layout."""

from pathlib import Path

from datamodules.packing.folders import read_folders
from datamodules.packing.manifest import read_manifest
from datamodules.packing.rows import Source
from datamodules.packing.viton import read_viton


def read_source(
    path: Path, layout: str = "auto", category: str | None = None, labels: tuple[int, ...] = (), masks: bool = True
) -> Source:
    """List the triplets of a manifest or a folder; no image is opened.

    Args:
        path: The manifest or folder.
        layout: ``auto`` or ``viton-hd``.
        category: Type of rows that name none.
        labels: For ``viton-hd``: indices of the label maps that are the ornament.
        masks: Whether a manifest must have masks.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If an option does not fit, or there is not one triplet.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no manifest or folder {path}")
    if layout == "viton-hd":
        source = read_viton(path, category, labels)
    elif labels:
        raise ValueError("parse_labels belongs to --layout viton-hd; leave it out")
    elif path.is_dir():
        source = read_folders(path)
    else:
        source = read_manifest(path, category, masks)
    if not source.rows and not source.problems:
        raise ValueError(f"{path} must list at least one triplet, got none; see datamodules/README.md")
    return source
