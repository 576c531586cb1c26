"""Whatever bytes a shard has: a counted fault, a sample, or a clear error; never another exception, a hang, or code."""

import bz2
import gzip
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodules.loading.dataset import TripletDataset
from datamodules.loading.order import evaluation_order, type_chances
from datamodules.samples.schema import ENTRIES
from datamodules.samples.transforms import TripletTransform
from datamodules.shards.cache import ShardCache
from datamodules.shards.index import SampleRow, ShardEntry, raise_sample_error, read_index, scan_shard, write_index
from datamodules.shards.reading import read_sample
from datamodules.shards.sample_index import open_catalogue
from datamodules.storage.sample_errors import SampleError, SampleErrorCounter
from tests.datamodules.broken_shards import (
    BLOCK,
    KINDS,
    SIZES,
    TYPES,
    broken_shard,
    good_shard,
    headers_of,
    tar,
    with_checksum,
)
from tests.datamodules.read_broken import read_to_the_end

COUNT = int(os.environ.get("ORNAMENT_LIT_BROKEN_SHARDS", "0"))
LONGEST, GREATEST = 3600, 2 * 2**30


def write_broken(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / f"train-{number:06d}.tar").write_bytes(broken_shard(number))


def test_shards_of_every_kind_of_damage(tmp_path: Path) -> None:
    write_broken(tmp_path, 5 * len(KINDS))
    found = read_to_the_end(tmp_path)
    assert found["samples"] > len(KINDS) and found["findings"] > 5 * len(KINDS)


@pytest.mark.slow
@pytest.mark.timeout(LONGEST)
@pytest.mark.skipif(not COUNT, reason="ORNAMENT_LIT_BROKEN_SHARDS=1000 says how many")
def test_many_broken_shards_in_little_memory(tmp_path: Path) -> None:
    write_broken(tmp_path, COUNT)
    command = [sys.executable, str(Path(__file__).with_name("read_broken.py")), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False)
    assert ended.returncode == 0 and "Traceback" not in ended.stderr, ended.stderr[-2000:]
    found = json.loads(ended.stdout.splitlines()[-1])
    print(COUNT, "shards:", found)
    assert found["memory"] < GREATEST


def check(content: bytes, indexed: bytes | None = None) -> None:
    """Walk, read and decode a shard: all that is in its index is either handed out or counted as a fault.

    Args:
        content: Bytes of the shard.
        indexed: Bytes of the shard when its index was made; None for one without an index.
    """
    walk: list[SampleError] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tar"
        if indexed is not None:
            path.write_bytes(indexed)
            write_index(folder, [scan_shard(path)])
        path.write_bytes(content)
        catalogue = open_catalogue([str(path)], walk.append, 1.0)
        sample_errors = SampleErrorCounter()
        order = evaluation_order(catalogue, 0, type_chances())
        data = TripletDataset(catalogue, order, TripletTransform(8), sample_errors, ShardCache())
        samples = [data[position] for position in range(len(data))]
        assert {entry.name for entry in Path(folder).iterdir()} <= {"a.tar", "index.json"}
    found, report = [sample["key"] for sample in samples if sample is not None], sample_errors.report()
    assert len(found) == report.good == len(catalogue) - sum(report.bad.values())
    assert all("a.tar" in str(fault) for fault in walk)


ANYWHERE = st.integers(0, 10**6)
IN_PLACE = st.one_of(
    st.tuples(st.just("flip"), ANYWHERE, st.integers(1, 255)),
    st.tuples(st.just("zero"), ANYWHERE, st.integers(1, 2000)),
    # A field of a header: its place in the header, and what is written there.
    st.tuples(st.just("field"), ANYWHERE, st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=12))),
    st.tuples(st.just("type"), ANYWHERE, st.sampled_from(TYPES)),
    st.tuples(st.just("size"), ANYWHERE, st.sampled_from(SIZES)),
)
EDITS = st.one_of(
    IN_PLACE,
    st.tuples(st.just("cut"), ANYWHERE, st.just(0)),
    st.tuples(st.just("insert"), ANYWHERE, st.integers(0, 255)),
    st.tuples(st.just("double"), ANYWHERE, st.integers(1, 4000)),
)


def apply(content: bytes, headers: list[int], edit: tuple[str, int, Any]) -> bytes:
    kind, place, value = edit
    data = bytearray(content)
    if kind in ("field", "type", "size"):
        start = headers[place % len(headers)]
        field, new = {"type": (156, value), "size": (124, value), "field": value}[kind]
        header = data[start : start + BLOCK].ljust(BLOCK, b"\0")
        header[field : field + len(new)] = new
        data[start : start + BLOCK] = with_checksum(header[:BLOCK])[: len(data) - start] if start < len(data) else b""
        return bytes(data)
    place %= max(1, len(data))
    changes = {
        "flip": lambda: bytes(byte ^ value for byte in data[place : place + 1]),
        "zero": lambda: bytes(len(data[place : place + value])),
        "cut": lambda: b"",
        "insert": lambda: bytes([value]) + data[place : place + 1],
        "double": lambda: 2 * data[place : place + value],
    }
    ends = {"flip": place + 1, "insert": place + 1, "cut": len(data)}
    data[place : ends.get(kind, place + value)] = changes[kind]()
    return bytes(data)


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(edits=st.lists(EDITS, min_size=1, max_size=4))
def test_a_shard_of_edited_bytes(edits: list[tuple[str, int, object]]) -> None:
    content = good_shard()
    for edit in edits:
        content = apply(content, headers_of(good_shard()), edit)
    check(content)


@settings(max_examples=150, deadline=2000, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(edits=st.lists(IN_PLACE, min_size=1, max_size=4))
def test_a_shard_that_is_edited_after_it_was_indexed(edits: list[tuple[str, int, object]]) -> None:
    content = good_shard()
    for edit in edits:
        content = apply(content, headers_of(good_shard()), edit)
    check(content, good_shard())


@settings(max_examples=100, deadline=2000, derandomize=True)
@given(content=st.binary(max_size=3000))
def test_a_shard_of_random_bytes(content: bytes) -> None:
    check(content)


@settings(max_examples=100, deadline=2000, derandomize=True)
@given(
    names=st.lists(st.text(max_size=40), max_size=6), contents=st.lists(st.binary(max_size=60), min_size=6, max_size=6)
)
def test_a_shard_of_random_members(names: list[str], contents: list[bytes]) -> None:
    check(tar(*zip([name.replace("\0", "") for name in names], contents, strict=False)))


@settings(max_examples=200, deadline=2000, derandomize=True)
@given(content=st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)), place=st.integers(0, 10**6))
def test_an_index_of_edited_bytes(content: bytes, place: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        good = write_index(folder, [ShardEntry("a.tar", 3, (SampleRow("k", "ring", 0, 3),), "00")]).read_bytes()
        place %= len(good)
        (Path(folder) / "index.json").write_bytes(good[:place] + content + good[place + len(content) :])
        try:
            read_index(folder)
        except ValueError as error:
            assert "index.json" in str(error)


def member(kind: bytes, size: int, name: str = "k.json") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [b"L", b"K", b"x", b"g"])
def test_headers_that_nest_without_end(kind: bytes) -> None:
    check((member(kind, BLOCK) + b"a".ljust(BLOCK, b"\0")) * 3000 + member(b"0", 0) + bytes(2 * BLOCK))


def sparse(entry: str) -> bytes:
    """A member of a block that says it has 64 GiB."""
    header = bytearray(member(b"S", BLOCK, entry))
    header[386:410] = b"00000000000\0" + b"%011o\0" % BLOCK
    header[483:495] = b"\x80" + (64 * 2**30).to_bytes(11, "big")
    return with_checksum(header) + bytes(BLOCK)


@pytest.mark.parametrize("first", [b"", gzip.compress(bytes(1 << 20)), bz2.compress(bytes(1 << 20))])
def test_a_place_that_grows_when_it_is_read(tmp_path: Path, first: bytes) -> None:
    metadata = b'{"type": "ring", "box": [0, 0, 9, 9]}'
    others = tar(
        ("k.json", metadata), *((f"k.{entry}", b"x") for entry in ENTRIES if entry not in ("json", "person.jpg"))
    )
    content = (first or sparse("k.person.jpg")) + others
    (tmp_path / "a.tar").write_bytes(content)
    write_index(tmp_path, [ShardEntry("a.tar", len(content), (SampleRow("k", "ring", 0, len(content)),))])
    catalogue = open_catalogue([str(tmp_path / "a.tar")], raise_sample_error, 1.0)
    with open(tmp_path / "a.tar", "rb") as file, pytest.raises(SampleError, match=r"a\.tar: k: ") as caught:
        read_sample(file, catalogue.place(0))
    assert caught.value.reason == "unreadable"
