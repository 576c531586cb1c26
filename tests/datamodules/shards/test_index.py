import hashlib
import io
import json
import tarfile
from itertools import pairwise
from pathlib import Path

import pytest

from datamodules.shards.index import SampleRow, ShardEntry, parse_index, read_index, scan_shard, write_index
from datamodules.storage.sample_errors import SampleError


def test_a_sample_is_one_stretch_of_the_tar(shard_dir: Path) -> None:
    shard = shard_dir / "train-000001.tar"
    entry = scan_shard(shard, checksum=True)
    content = shard.read_bytes()
    assert entry.name == shard.name
    assert entry.bytes == len(content)
    assert entry.sha256 == hashlib.sha256(content).hexdigest()
    assert [row.key for row in entry.samples] == [f"train-{index:06d}" for index in range(8, 16)]
    assert [row.category for row in entry.samples[:4]] == ["bracelet", "ring", "earring", "necklace"]
    for row in entry.samples:
        stretch = io.BytesIO(content[row.offset : row.offset + row.size] + bytes(1024))
        names = tarfile.open(fileobj=stretch).getnames()
        assert sorted(names) == sorted(
            f"{row.key}.{name}"
            for name in ("json", "ornament.jpg", "ornament_mask.png", "person.jpg", "wearing_mask.png")
        )


def test_stretches_follow_each_other_without_a_gap(shard_dir: Path) -> None:
    rows = scan_shard(shard_dir / "val-000000.tar").samples
    assert rows[0].offset == 0
    for row, following in pairwise(rows):
        assert row.offset + row.size == following.offset


def test_long_names_belong_to_their_sample(tmp_path, draw_entries) -> None:
    keys = ["short", "a" * 150, "z"]
    path = tmp_path / "pax.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for key in keys:
            for name, content in draw_entries().items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    content = path.read_bytes()
    for row, key in zip(scan_shard(path).samples, keys, strict=True):
        stretch = io.BytesIO(content[row.offset : row.offset + row.size] + bytes(1024))
        assert {name.split(".")[0] for name in tarfile.open(fileobj=stretch).getnames()} == {key}


@pytest.mark.parametrize("cut", [700, 5000, -1024, -512])
def test_a_cut_shard_is_reported(shard_dir: Path, cut: int) -> None:
    path = shard_dir / "train-000000.tar"
    whole = scan_shard(path)
    end = whole.samples[-1].offset + whole.samples[-1].size
    content = path.read_bytes()[: end + 1024]
    path.write_bytes(content[:cut])
    sample_errors: list[SampleError] = []
    entry = scan_shard(path, sample_errors.append)
    assert sample_errors[0].reason == "unreadable_shard"
    assert entry.samples == whole.samples[: len(entry.samples)]
    with pytest.raises(SampleError, match="train-000000"):
        scan_shard(path)


def test_a_damaged_header_is_reported_and_what_comes_before_is_kept(shard_dir: Path) -> None:
    path = shard_dir / "train-000000.tar"
    whole = scan_shard(path)
    content = bytearray(path.read_bytes())
    at = whole.samples[3].offset
    content[at : at + 64] = b"\xff" * 64
    path.write_bytes(content)
    sample_errors: list[SampleError] = []
    assert scan_shard(path, sample_errors.append).samples == whole.samples[:3]
    assert [fault.reason for fault in sample_errors] == ["unreadable_shard"]
    assert f"byte {at}" in str(sample_errors[0])


def test_unusable_samples_are_left_out(tmp_path, draw_entries, write_shard) -> None:
    samples = {
        "good": draw_entries(),
        "no-mask": draw_entries(wearing_mask__png=None),
        "no-type": draw_entries(json=b"{}"),
        "../out": draw_entries(),
        "two\nlines": draw_entries(),
        "\x1b[31mred": draw_entries(),
    }
    sample_errors: list[SampleError] = []
    entry = scan_shard(write_shard(tmp_path / "a.tar", samples), sample_errors.append)
    assert [row.key for row in entry.samples] == ["good"]
    assert [fault.reason for fault in sample_errors] == ["missing_entry", *["bad_metadata"] * 4]
    assert all(str(fault).isprintable() for fault in sample_errors)


def test_what_is_no_tar_is_reported(tmp_path) -> None:
    (tmp_path / "text.tar").write_bytes(b"no tar" * 300)
    (tmp_path / "empty.tar").write_bytes(b"")
    (tmp_path / "folder.tar").mkdir()
    for name in ("text.tar", "empty.tar", "folder.tar", "absent.tar"):
        sample_errors: list[SampleError] = []
        assert scan_shard(tmp_path / name, sample_errors.append).samples == ()
        assert [fault.reason for fault in sample_errors] == ["unreadable_shard"], name


def test_an_index_survives_writing_and_reading(tmp_path) -> None:
    entries = [
        ShardEntry("b.tar", 2048, (SampleRow("k0", "ring", 0, 512), SampleRow("k1", "earring", 512, 512)), "ab" * 32),
        ShardEntry("a.tar", 1024, (), None),
    ]
    path = write_index(tmp_path, entries)
    assert read_index(tmp_path) == {entry.name: entry for entry in entries}
    document = json.loads(path.read_text())
    assert [shard["shard"] for shard in document["shards"]] == ["a.tar", "b.tar"]
    assert document["shards"][1]["samples"] == 2
    assert [file.name for file in tmp_path.iterdir()] == ["index.json"]


def test_a_folder_without_an_index_has_none(tmp_path) -> None:
    assert read_index(tmp_path) == {}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"format": "else", "shards": []}',
        b'{"format": "ornament_lit-index/1", "shards": [{"shard": "a.tar"}]}',
        b'{"format": "ornament_lit-index/1", "shards": [{"shard": "../a.tar", "bytes": 1, "sha256": null, '
        b'"samples": 0, "keys": [], "types": [], "offsets": [], "sizes": []}]}',
        b'{"format": "ornament_lit-index/1", "shards": [{"shard": "a.tar", "bytes": 1, "sha256": null, '
        b'"samples": 2, "keys": ["a"], "types": ["ring"], "offsets": [0], "sizes": [1]}]}',
        b'{"format": "ornament_lit-index/1", "shards": [{"shard": "a.tar", "bytes": 9, "sha256": null, '
        b'"samples": 1, "keys": ["a"], "types": ["ring"], "offsets": [0], "sizes": [99999999999999]}]}',
        b'{"format": "ornament_lit-index/1", "shards": [{"shard": "a.tar", "bytes": 9, "sha256": null, '
        b'"samples": 1, "keys": ["a\\nb"], "types": ["ring"], "offsets": [0], "sizes": [1]}]}',
    ],
)
def test_what_is_no_index_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="data check"):
        parse_index(content, "index.json")
