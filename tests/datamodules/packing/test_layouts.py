from pathlib import Path

import pytest

from datamodules.packing.folders import read_folders
from datamodules.packing.sources import read_source
from datamodules.packing.viton import read_viton


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_folders_of_types(tmp_path: Path) -> None:
    parts = ("ornament.jpg", "ornament_mask.png", "person.JPEG", "wearing_mask.png")
    touch(tmp_path, *(f"ring/a (1).{part}" for part in parts), *(f"necklace/b.{part}" for part in parts))
    touch(tmp_path, "ring/notes.txt", "ring/c.person.jpg", "other/d.ornament.jpg")
    (tmp_path / "ring/a (1).json").write_text('{"box": [1, 2, 3, 4], "split": "val", "sku": 7}')
    source = read_folders(tmp_path)
    ring, necklace = source.rows
    assert (ring.key, ring.category, ring.box, ring.split) == ("ring-a__1_", "ring", (1, 2, 3, 4), "val")
    assert ring.metadata == {"sku": 7} and ring.person == tmp_path / "ring/a (1).person.JPEG"
    assert (necklace.key, necklace.category) == ("necklace-b", "necklace")
    assert [(problem.key, problem.rule, problem.value) for problem in source.problems] == [
        ("ring-c", "missing_value", "ornament")
    ]


def test_folders_of_other_names_are_refused(tmp_path: Path) -> None:
    touch(tmp_path, "rings/a.ornament.jpg")
    with pytest.raises(ValueError, match="folders named bracelet, ring"):
        read_folders(tmp_path)


def test_viton_hd(tmp_path: Path) -> None:
    for split in ("train", "test"):
        touch(tmp_path / split, "image/1.jpg", "cloth/1.jpg", "cloth-mask/1.jpg", "image-parse-v3/1.png")
    touch(tmp_path / "train", "image/2.jpg", "gt_cloth_warped_mask/1.png")
    source = read_viton(tmp_path, "necklace")
    train, test = source.rows
    assert (train.key, train.split, train.category) == ("train-1", "train", "necklace")
    assert train.wearing_mask == tmp_path / "train/gt_cloth_warped_mask/1.png" and train.labels == ()
    assert (test.key, test.split, test.wearing_mask) == ("test-1", "test", None)
    assert [(problem.key, problem.rule) for problem in source.problems] == [("2", "missing_file")]


def test_viton_hd_with_label_maps_and_without_splits(tmp_path: Path) -> None:
    touch(tmp_path, "image/1.jpg", "cloth/1.jpg", "cloth_mask/1.png", "image-parse/1.png")
    (row,) = read_viton(tmp_path, "necklace", (15,)).rows
    assert (row.key, row.split, row.labels) == ("1", None, (15,))
    assert (row.ornament_mask, row.wearing_mask) == (tmp_path / "cloth_mask/1.png", tmp_path / "image-parse/1.png")


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give --type"):
        read_viton(tmp_path, None)
    with pytest.raises(ValueError, match="image/ and cloth/"):
        read_viton(tmp_path, "ring")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_source(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="belongs to --layout viton-hd"):
        read_source(tmp_path, labels=(1,))
    (tmp_path / "ring").mkdir()
    with pytest.raises(ValueError, match="at least one triplet"):
        read_source(tmp_path)
