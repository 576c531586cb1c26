import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.shards.index import scan_shard
from datamodules.shards.tar_headers import BROKEN, LONGEST_HEADER, walk_headers
from datamodules.storage.sample_errors import SampleError
from tests.datamodules.broken_shards import BLOCK, extended_header, good_shard, headers_of, record, tar, with_checksum


def with_size(size: bytes, header: int) -> bytes:
    data = bytearray(good_shard())
    start = headers_of(good_shard())[header]
    edited = data[start : start + BLOCK]
    edited[124 : 124 + len(size)] = size
    data[start : start + BLOCK] = with_checksum(edited)
    return bytes(data)


def sparse_without_end() -> bytes:
    header = bytearray(good_shard()[:BLOCK])
    header[156:157], header[482] = b"S", 1
    return with_checksum(header)


def test_members_and_where_they_end() -> None:
    content = tar(("a.json", b"x" * 700), ("b.json", b""))
    found = [(info.name, info.offset_data, end) for info, end in walk_headers(io.BytesIO(content))]
    assert found == [("a.json", 512, 1536), ("b.json", 2048, 2048)]


@pytest.mark.parametrize("header", [0, -1])
@pytest.mark.parametrize(
    "size",
    [
        b"77777777777\0",  # 8 GiB
        b"\x80" + b"\xff" * 11,  # more than an offset can be
        b"\xff" * 12,  # -1
        b"\xff" * 10 + b"\xfe\0",  # -512, which leads to the same header again
        b"-1000      \0",  # the same in octal digits
    ],
)
def test_a_size_that_cannot_be_ends_the_walk(tmp_path: Path, size: bytes, header: int) -> None:
    (tmp_path / "a.tar").write_bytes(with_size(size, header))
    sample_errors: list[SampleError] = []
    entry = scan_shard(tmp_path / "a.tar", sample_errors.append)
    assert [fault.reason for fault in sample_errors] == ["unreadable_shard", *["missing_entry"] * (header == -1)]
    assert len(entry.samples) == (2 if header == -1 else 0)


@pytest.mark.parametrize(
    "content",
    [
        lambda: extended_header(b"x", b"7 a=b\n", 2**33) + good_shard(),
        lambda: extended_header(b"L", b"k" * (LONGEST_HEADER + 1)) + good_shard(),
        lambda: extended_header(b"x", record(b"size=-512")) + good_shard(),
        sparse_without_end,
    ],
)
def test_extended_headers_that_cannot_be(content: Callable[[], bytes]) -> None:
    with pytest.raises(BROKEN):
        list(walk_headers(io.BytesIO(content())))


def test_a_long_name_is_read() -> None:
    shard = tar(("k" * 5000 + ".json", b"{}"), kind=tarfile.PAX_FORMAT)
    assert [len(info.name) for info, _ in walk_headers(io.BytesIO(shard))] == [5005]
