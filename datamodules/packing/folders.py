"""Folders instead of a manifest: ``DIR/{type}/{name}.ornament.jpg`` and so on.

Beside the ornament lie ``{name}.ornament_mask.png``, ``{name}.person.jpg``, ``{name}.wearing_mask.png`` and, if wanted,
``{name}.json`` with other columns of a manifest (``box``, ``split``, ``ornament_id``, anything else). A key is
``{type}-{name}``.
"""

import json
import re
from pathlib import Path
from typing import Any

from datamodules.packing.rows import FILES, Source
from datamodules.packing.rules import Problem
from ornament_lit.utils.categories import CATEGORIES

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


def read_folders(folder: Path) -> Source:
    """List the triplets of a folder, sorted by type and name.

    Args:
        folder: Holds a folder for each type.

    Raises:
        ValueError: If it has no folder of a type's name.
    """
    types = [folder / name for name in CATEGORIES if (folder / name).is_dir()]
    if not types:
        raise ValueError(
            f"{folder} must hold folders named {', '.join(CATEGORIES)}, got none; name them so, or give a manifest"
        )
    source = Source()
    groups = [(subfolder, name, parts) for subfolder in types for name, parts in sorted(_group(subfolder).items())]
    for number, (subfolder, name, parts) in enumerate(groups, start=1):
        key = re.sub(r"[^A-Za-z0-9_-]", "_", f"{subfolder.name}-{name}")
        try:
            values = _read_json(subfolder / f"{name}.json")
        except (ValueError, RecursionError) as error:
            source.problems.append(Problem(number, key, str(subfolder / f"{name}.json"), "bad_row", str(error)))
            continue
        source.add(number, {"key": key, "type": subfolder.name, **values, **parts}, subfolder)
    return source


def _group(folder: Path) -> dict[str, dict[str, str]]:
    """File names of each triplet by part, by the triplet's name."""
    groups: dict[str, dict[str, str]] = {}
    for path in sorted(folder.iterdir()):
        name, _, part = path.stem.rpartition(".")
        if name and part in FILES and path.suffix.lower() in SUFFIXES:
            groups.setdefault(name, {})[part] = path.name
    return groups


def _read_json(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    values = json.loads(path.read_text(encoding="utf-8-sig"))
    if not isinstance(values, dict):
        raise ValueError(f"no object but {type(values).__name__}")
    return values
