import io
import os
import pickle
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from datamodules.samples.schema import ENTRIES
from datamodules.shards.reading import RawSample, read_shard
from datamodules.storage.sample_errors import SampleError

Draw = Callable[..., dict[str, bytes]]
Write = Callable[[Path, Mapping[str, dict[str, bytes]]], Path]


def read(shard: Path) -> tuple[list[RawSample], list[SampleError]]:
    sample_errors: list[SampleError] = []
    return list(read_shard(str(shard), sample_errors.append)), sample_errors


def whole(samples: list[RawSample]) -> list[str]:
    return [sample["__key__"] for sample in samples if set(ENTRIES) <= set(sample)]


@pytest.fixture
def shard(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> Path:
    return write_shard(tmp_path / "a.tar", {f"k{i}": draw_entries(i) for i in range(4)})


def test_a_good_shard(shard: Path, draw_entries: Draw) -> None:
    samples, sample_errors = read(shard)
    assert sample_errors == [] and whole(samples) == ["k0", "k1", "k2", "k3"]
    assert {name: samples[1][name] for name in ENTRIES} == draw_entries(1)


class Payload:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_other_entries_are_not_read(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    payload = pickle.dumps(Payload(tmp_path / "pwned"))
    extra = {name: payload for name in ("pkl", "pickle", "pyd", "pth", "person.pkl", "bare.jpg", "npy")}
    samples, sample_errors = read(write_shard(tmp_path / "a.tar", {"k": {**draw_entries(), **extra}}))
    assert sample_errors == [] and set(samples[0]) == {*ENTRIES, "__key__", "__url__"}
    assert not (tmp_path / "pwned").exists()


def test_every_cut_is_noticed_and_no_sample_is_wrong(shard: Path, tmp_path: Path, draw_entries: Draw) -> None:
    data = shard.read_bytes()
    with tarfile.open(shard) as tar:
        end = max(member.offset_data + member.size for member in tar)
    cut = tmp_path / "cut.tar"
    for length in [*range(0, end, 512), *range(100, end, 1511)]:
        cut.write_bytes(data[:length])
        samples, sample_errors = read(cut)
        assert [fault.reason for fault in sample_errors] == ["unreadable_shard"], length
        assert "cut.tar" in str(sample_errors[0])
        for key in whole(samples):
            sample = next(sample for sample in samples if sample["__key__"] == key)
            assert {name: sample[name] for name in ENTRIES} == draw_entries(int(key[1:]))


def test_a_damaged_header_in_the_middle_is_noticed(tmp_path: Path, draw_entries: Draw, write_shard: Write) -> None:
    shard = write_shard(tmp_path / "a.tar", {f"k{i}": draw_entries(i) for i in range(12)})
    with tarfile.open(shard) as tar:
        offset = next(member.offset for member in tar if member.name.startswith("k3"))
    data = bytearray(shard.read_bytes())
    data[offset : offset + 512] = b"\xaa" * 512
    shard.write_bytes(data)
    samples, sample_errors = read(shard)
    assert whole(samples) == ["k0", "k1", "k2"]
    assert [fault.reason for fault in sample_errors] == ["unreadable_shard"]


def test_the_same_key_after_a_cut_shard_is_not_merged(shard: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    with tarfile.open(shard) as tar:
        offsets = [member.offset for member in tar if member.name.startswith("k0")]
    cut.write_bytes(shard.read_bytes()[: offsets[2]])
    first, _ = read(cut)
    second, _ = read(shard)
    assert whole(first) == [] and len(first) == 1 and whole(second)[0] == "k0"


def test_a_repeated_entry_is_reported_and_the_rest_is_read(tmp_path: Path, draw_entries: Draw) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as tar:
        for key, entries in (("k0", draw_entries(0)), ("k1", draw_entries(1))):
            for name, data in [*entries.items(), ("json", b"{}")]:
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    samples, sample_errors = read(path)
    assert whole(samples) == ["k0", "k1"] and samples[0]["json"] != b"{}"
    assert "duplicate" in str(sample_errors[0])


@pytest.mark.parametrize("data", [b"", b"not a tar" * 1000])
def test_what_is_no_tar_is_reported(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.tar").write_bytes(data)
    samples, sample_errors = read(tmp_path / "a.tar")
    assert samples == [] and [fault.reason for fault in sample_errors] == ["unreadable_shard"]


def test_an_empty_tar_is_no_fault(tmp_path: Path, write_shard: Write) -> None:
    assert read(write_shard(tmp_path / "a.tar", {})) == ([], [])


def test_a_shard_that_is_gone_is_reported(tmp_path: Path) -> None:
    samples, sample_errors = read(tmp_path / "gone.tar")
    assert samples == [] and "gone.tar" in str(sample_errors[0])


def test_compressed_shards_are_read(shard: Path, tmp_path: Path) -> None:
    packed = tmp_path / "a.tar.gz"
    with tarfile.open(packed, "w:gz") as new, tarfile.open(shard) as old:
        for member in old:
            new.addfile(member, old.extractfile(member))
    samples, sample_errors = read(packed)
    assert sample_errors == [] and len(whole(samples)) == 4
    packed.write_bytes(packed.read_bytes()[:-300])
    assert [fault.reason for fault in read(packed)[1]] == ["unreadable_shard"]


def test_names_that_climb_out_of_the_folder_write_nothing(
    tmp_path: Path, draw_entries: Draw, write_shard: Write
) -> None:
    samples, _ = read(write_shard(tmp_path / "a.tar", {"../../up": draw_entries()}))
    assert whole(samples) == ["../../up"] and [path.name for path in tmp_path.iterdir()] == ["a.tar"]
