"""The folder layout of VITON-HD, for those who keep ornaments in it.

``DIR/{train,test}/`` (or DIR itself) has ``image/`` (people), ``cloth/`` (here: ornaments) and ``cloth-mask/`` with
files of the same names, and one of

- ``gt_cloth_warped_mask/``: masks of what is worn (StableVITON's addition), or
- ``image-parse-v3/`` (``image-parse/`` before): label maps, of which given indices are the ornament. The labels of
  VITON-HD know no ornaments; those of CelebAMask-HQ do (9 earring, 15 necklace).

Only pairs of the same name are taken: ``test_pairs.txt`` and the like name ornaments that the person does not wear.
Source of the layout: https://github.com/shadow2496/VITON-HD, datasets.py.
"""

from pathlib import Path

from datamodules.packing.folders import SUFFIXES
from datamodules.packing.rows import Source
from datamodules.packing.rules import Problem

ORNAMENT_MASKS = ("cloth-mask", "cloth_mask")
WORN_MASKS = ("gt_cloth_warped_mask",)
LABEL_MAPS = ("image-parse-v3", "image-parse")


def read_viton(folder: Path, category: str | None, labels: tuple[int, ...] = ()) -> Source:
    """List the pairs of a folder.

    Args:
        folder: As above. ``train`` becomes the split ``train``, ``test`` the split ``test``.
        category: Type of all of them, which the layout does not know.
        labels: Indices of the label maps that are the ornament; empty to take ``gt_cloth_warped_mask/``.

    Raises:
        ValueError: If the type is not given or the folder has another layout.
    """
    if category is None:
        raise ValueError("the layout viton-hd does not say what the ornaments are: give --type")
    roots = {name: folder / name for name in ("train", "test") if (folder / name / "image").is_dir()}
    if not roots and not (folder / "image").is_dir():
        raise ValueError(f"{folder} must hold image/ and cloth/, or train/ and test/ with them, got neither")
    source = Source()
    for split, root in (roots or {"": folder}).items():
        _read_root(source, root, split, category, labels)
    return source


def _read_root(source: Source, root: Path, split: str, category: str, labels: tuple[int, ...]) -> None:
    people, ornaments = _by_name(root / "image"), _by_name(root / "cloth")
    ornament_masks = _first(root, ORNAMENT_MASKS)
    worn_masks = _first(root, LABEL_MAPS if labels else WORN_MASKS)
    for name, person in sorted(people.items()):
        number = len(source.rows) + len(source.problems) + 1
        if name not in ornaments:
            source.problems.append(Problem(number, name, str(root / "cloth"), "missing_file", f"no ornament {name}"))
            continue
        values = {
            "key": "-".join(filter(None, (split, name.replace(".", "_")))),
            "type": category,
            "ornament": ornaments[name],
            "person": person,
            "ornament_mask": ornament_masks.get(name),
            "wearing_mask": worn_masks.get(name),
            "split": split,
        }
        source.add(number, values, root, labels=labels)


def _first(root: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Files of the first of some folders that is there."""
    return next((_by_name(root / name) for name in names if (root / name).is_dir()), {})


def _by_name(folder: Path) -> dict[str, Path]:
    """Images of a folder by their names without suffix."""
    if not folder.is_dir():
        return {}
    return {path.stem: path.absolute() for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES}
