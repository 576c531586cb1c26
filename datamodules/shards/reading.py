"""Bytes of shards to raw samples, by webdataset's stages. Only the entries that are wanted are read.

A sample is read by one read of its stretch of the tar. A whole shard is read by itself from open to close, so that
the last sample of a damaged shard can never be merged with the first of the next one where they have the same key.
"""

import io
import os
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO

from webdataset.tariterators import base_plus_ext, group_by_keys, tar_file_expander

from datamodules.samples.schema import ENTRIES, OPTIONAL
from datamodules.shards.sample_index import Place
from datamodules.shards.tar_headers import BROKEN, walk_headers
from datamodules.storage.sample_errors import SampleError

END_OF_TAR = bytes(1024)

RawSample = dict[str, Any]


class _CheckedStream:
    """The stream that tarfile reads, with a memory of its end: tarfile does not tell when it stops too early."""

    def __init__(self, stream: BinaryIO, shard: str) -> None:
        self._stream = stream
        self.shard = shard
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
        if self.shard.endswith(".tar") and self._tail != END_OF_TAR:
            raise ValueError("the tar has no end marker: the shard is cut off")

    def __str__(self) -> str:
        return PurePosixPath(self.shard).name


def is_entry(entry: str) -> bool:
    """Whether an entry is one that every sample has."""
    return entry in ENTRIES


def is_image(entry: str) -> bool:
    """Whether an entry is one that every sample has, or one that some have and that can be looked at."""
    return entry in ENTRIES or entry in OPTIONAL


def read_sample(file: BinaryIO, place: Place, wanted: Callable[[str], bool] = is_entry) -> RawSample:
    """Read one sample.

    Args:
        file: Its shard, a file on a disk.
        place: Where it lies.
        wanted: Tells of an entry, such as ``person.jpg``, whether it is to be read.

    Returns:
        The bytes of each entry by its name, with ``__key__`` and ``__url__``.

    Raises:
        SampleError: ``unreadable``, if the bytes cannot be read or are not those of the sample.
    """
    try:
        stretch = os.pread(file.fileno(), place.row.size, place.row.offset)
        if len(stretch) != place.row.size:
            raise ValueError(f"the shard ends after {len(stretch)} of the sample's {place.row.size} bytes")
        samples = list(group_by_keys(_expand(stretch, place.shard, wanted)))
        keys = [sample["__key__"] for sample in samples]
        if keys != [place.row.key]:
            raise ValueError(f"its place holds {keys or 'no sample'}; the index is of another shard, make it anew")
    except (OSError, *BROKEN) as error:
        reason = error.args[0] if error.args else type(error).__name__
        raise SampleError(f"{place.shard}: {place.row.key}: {reason}", "unreadable") from error
    return dict(samples[0])


def _expand(stretch: bytes, shard: str, wanted: Callable[[str], bool]) -> Iterator[dict[str, Any]]:
    """List the wanted members of a little tar in memory, as webdataset's stage does for a stream.

    That stage would also take members that grow as they are read: compressed and sparse ones.
    """
    select = _members(wanted)
    for member, stop in walk_headers(io.BytesIO(stretch)):
        if member.isreg() and select(member.name):
            end = member.offset_data + member.size
            if member.issparse() or end > stop:
                raise ValueError(f"{member.name} is sparse or cut off")
            yield {"fname": member.name, "data": stretch[member.offset_data : end], "__url__": shard}


def _members(wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    """Tell of a member of a tar by its name whether it is a wanted entry."""
    return lambda name: wanted(str(base_plus_ext(name)[1]).lower())


def read_shard(
    shard: str, report: Callable[[SampleError], None], wanted: Callable[[str], bool] = is_entry
) -> Iterator[RawSample]:
    """Read the samples of a local shard one after the other.

    Args:
        shard: Path.
        report: Called with an ``unreadable_shard`` error when the shard cannot be opened or read to its end. The
            samples before the damage are yielded; the last one may lack entries.
        wanted: Tells of an entry, such as ``person.jpg``, whether it is to be read.

    Yields:
        The bytes of each entry by its name, with ``__key__`` and ``__url__``.
    """
    damage: list[Exception] = []
    try:
        with open(shard, "rb") as stream:
            yield from _samples(_CheckedStream(stream, shard), shard, wanted, damage)
    except OSError as error:
        report(SampleError(f"{shard}: {error}", "unreadable_shard"))
        return
    if damage:
        first = damage[0].args[0] if damage[0].args else type(damage[0]).__name__
        report(SampleError(f"{shard}: {first}", "unreadable_shard"))


def _samples(
    stream: _CheckedStream, shard: str, wanted: Callable[[str], bool], damage: list[Exception]
) -> Iterator[RawSample]:
    def stop(error: Exception) -> bool:
        damage.append(error)
        return False

    def go_on(error: Exception) -> bool:
        damage.append(error)
        return True

    entries = tar_file_expander([{"url": shard, "stream": stream}], handler=stop, select_files=_members(wanted))
    yield from group_by_keys(entries, handler=go_on)
    try:
        stream.check_end()
    except (OSError, ValueError) as error:
        damage.append(error)
