"""Shards to raw samples: webdataset's tar stages, one shard at a time.

A shard is read by itself from open to close, so that the last sample of a damaged shard can never be merged with
the first of the next one where they happen to have the same key. Only the entries of the schema are read.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

from datamodules.decoding import ENTRIES
from datamodules.faults import SampleError
from datamodules.shards import open_shard

END_OF_TAR = bytes(1024)

RawSample = dict[str, Any]


class _CheckedStream:
    """The stream that tarfile reads, with a memory of its end: tarfile does not tell when it stops too early."""

    def __init__(self, stream: BinaryIO, shard: str) -> None:
        self._stream = stream
        self._shard = shard
        self._tail = b""

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._tail = (self._tail + data)[-len(END_OF_TAR) :]
        return data

    def check_end(self) -> None:
        """Raise unless nothing but the end marker follows and the marker is there."""
        while rest := self.read(1 << 16):
            if rest.strip(b"\0"):
                raise ValueError("a damaged header: the rest of the shard cannot be read")
        if self._shard.endswith(".tar") and self._tail != END_OF_TAR:
            raise ValueError("the tar has no end marker: the shard is cut off")

    def __str__(self) -> str:
        return PurePosixPath(self._shard).name


def is_entry(name: str) -> bool:
    """Whether a member of a tar is one of the schema's entries."""
    return str(base_plus_ext(name)[1]).lower() in ENTRIES


def read_shard(shard: str, report: Callable[[SampleError], None]) -> Iterator[RawSample]:
    """Read the samples of a shard.

    Args:
        shard: Absolute path or URL.
        report: Called with an ``unreadable_shard`` fault when the shard cannot be opened or read to its end. The
            samples before the damage are yielded; the last one may lack entries.

    Yields:
        The bytes of each entry by its name, with ``__key__`` and ``__url__``.
    """
    damage: list[Exception] = []
    try:
        stream = open_shard(shard)
    except (OSError, ValueError) as error:
        report(SampleError(f"{shard}: {error}", "unreadable_shard"))
        return
    try:
        yield from _samples(_CheckedStream(stream, shard), shard, damage)
    finally:
        with suppress(OSError):
            stream.close()
    if damage:
        first = damage[0].args[0] if damage[0].args else type(damage[0]).__name__
        report(SampleError(f"{shard}: {first}", "unreadable_shard"))


def _samples(stream: _CheckedStream, shard: str, damage: list[Exception]) -> Iterator[RawSample]:
    def stop(error: Exception) -> bool:
        damage.append(error)
        return False

    def go_on(error: Exception) -> bool:
        damage.append(error)
        return True

    entries = tar_file_expander([{"url": shard, "stream": stream}], handler=stop, select_files=is_entry)
    yield from group_by_keys(entries, handler=go_on)
    try:
        stream.check_end()
    except (OSError, ValueError) as error:
        damage.append(error)
