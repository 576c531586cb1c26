import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from datamodules.shards.index import raise_sample_error, scan_shard, write_index
from datamodules.shards.sample_index import Catalogue, open_catalogue
from datamodules.storage.sample_errors import SampleError
from datamodules.storage.shard_paths import resolve_shards

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]


def listed(folder: Path, pattern: str = "train-*.tar") -> Catalogue:
    return open_catalogue(resolve_shards(str(folder / pattern)), raise_sample_error, 1.0)


def index(folder: Path) -> None:
    write_index(folder, [scan_shard(path, checksum=True) for path in sorted(folder.glob("*.tar"))])


def test_an_index_says_the_same_as_walking(shard_dir: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        walked = listed(shard_dir)
    assert "4 shards without an index were walked; python -m ornament_lit data check" in caplog.text
    caplog.clear()
    index(shard_dir)
    indexed = listed(shard_dir)
    assert not caplog.messages
    assert len(indexed) == len(walked) == 32 and indexed.keys == walked.keys == [f"train-{i:06d}" for i in range(32)]
    assert indexed.categories == walked.categories and indexed.fingerprint == walked.fingerprint


def test_places_and_rows(shard_dir: Path) -> None:
    catalogue = listed(shard_dir)
    assert catalogue.rows_of(2).tolist() == list(range(16, 24))
    place = catalogue.place(17)
    assert place.shard.endswith("train-000002.tar") and place.row.key == "train-000017"
    assert [catalogue.place(sample).row.key for sample in range(32)] == catalogue.keys


def test_alike_are_the_samples_of_one_type_in_one_shard(shard_dir: Path) -> None:
    catalogue = listed(shard_dir)
    assert [catalogue.alike(sample) for sample in (0, 4, 9, 31)] == [[0, 4], [0, 4], [9, 13], [27, 31]]


def test_an_empty_shard_is_passed_over(shard_dir: Path, write_shard: Write) -> None:
    write_shard(shard_dir / "train-000001.tar", {})
    catalogue = listed(shard_dir)
    assert len(catalogue) == 24 and catalogue.place(8).row.key == "train-000016" and not len(catalogue.rows_of(1))


def test_the_fingerprint_tells_other_shards_and_not_other_folders(shard_dir: Path, tmp_path: Path) -> None:
    first = listed(shard_dir)
    os.rename(shard_dir, tmp_path / "moved")
    moved = tmp_path / "moved"
    assert listed(moved).fingerprint == first.fingerprint
    assert listed(moved, "train-00000[012].tar").fingerprint != first.fingerprint
    (moved / "train-000001.tar").rename(moved / "train-000009.tar")
    assert listed(moved).fingerprint != first.fingerprint


def test_a_shard_of_another_size_than_its_index_says_is_refused(shard_dir: Path) -> None:
    index(shard_dir)
    shard = shard_dir / "train-000002.tar"
    shard.write_bytes(shard.read_bytes()[:-512])
    with pytest.raises(ValueError, match=r"train-000002\.tar has \d+ bytes, its index says \d+: .*data check"):
        listed(shard_dir)


def test_a_shard_that_is_not_in_the_index_is_walked(shard_dir: Path) -> None:
    write_index(shard_dir, [replace(scan_shard(shard_dir / "train-000000.tar"), sha256="0")])
    assert len(listed(shard_dir)) == 32


def test_a_broken_index_is_refused(shard_dir: Path) -> None:
    (shard_dir / "index.json").write_text('{"format": "other"}')
    with pytest.raises(ValueError, match=r"index\.json is no index of shards"):
        listed(shard_dir)


def test_a_compressed_shard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-0.tar.gz").write_bytes(b"")
    with pytest.raises(ValueError, match="not compressed"):
        listed(tmp_path, "*.tar.gz")


def test_faults_of_shards_are_reported(shard_dir: Path, draw_entries: Draw, write_shard: Write) -> None:
    (shard_dir / "train-000000.tar").unlink()
    (shard_dir / "train-000000.tar").symlink_to("nowhere")
    (shard_dir / "train-000001.tar").unlink()
    (shard_dir / "train-000001.tar").mkdir()
    bad = {"a": draw_entries(json=None), "b": draw_entries(json=b"{"), "c": draw_entries(), "../d": draw_entries()}
    write_shard(shard_dir / "train-000002.tar", bad)
    sample_errors: list[SampleError] = []
    shards = [str(shard_dir / f"train-00000{number}.tar") for number in range(4)]
    catalogue = open_catalogue(shards, sample_errors.append, 1.0)
    assert catalogue.keys == ["c", *(f"train-{i:06d}" for i in range(24, 32))]
    assert sorted(fault.reason for fault in sample_errors) == [
        "bad_metadata",
        "bad_metadata",
        "missing_entry",
        "unreadable_shard",
        "unreadable_shard",
    ]
