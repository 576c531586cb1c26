"""The index of a folder of shards: which samples lie where, so that any of them is one read away.

``index.json`` lies beside the shards. For each it has the file's name, bytes and SHA-256, the number of samples, and
each sample's key, type and stretch of the tar. :func:`scan_shard` finds the same by walking the headers of a shard.
"""

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from webdataset.tariterators import base_plus_ext

from datamodules.samples.decoding import describe
from datamodules.shards.tar_headers import BROKEN, walk_headers
from datamodules.storage.sample_errors import SampleError
from ornament_lit.utils.files import write_file

INDEX = "index.json"
FORMAT = "ornament_lit-index/1"
END_OF_TAR = 1024


class SampleRow(NamedTuple):
    """Where a sample is.

    Attributes:
        key: Its unique name.
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES`.
        offset: First byte of its first header in the tar.
        size: Bytes from there to the end of its last entry: a little tar without an end marker.
    """

    key: str
    category: str
    offset: int
    size: int


@dataclass(frozen=True)
class ShardEntry:
    """What a shard holds.

    Attributes:
        name: File name, without a folder.
        bytes: Size of the file.
        samples: The usable samples in the order of the tar.
        sha256: Checksum of the file in hexadecimal digits; None where it was not computed.
    """

    name: str
    bytes: int
    samples: tuple[SampleRow, ...]
    sha256: str | None = None


class _Member(NamedTuple):
    key: str
    entry: str
    info: tarfile.TarInfo
    end: int


def raise_sample_error(error: SampleError) -> None:
    """Report a sample error by raising it.

    Raises:
        SampleError: The error.
    """
    raise error


def scan_shard(
    path: str | Path, report: Callable[[SampleError], None] = raise_sample_error, checksum: bool = False
) -> ShardEntry:
    """Walk the headers of a local shard and read the metadata of its samples; no image is read.

    Args:
        path: An uncompressed tar.
        report: Called with each sample error: ``unreadable_shard`` for one that cannot be opened or read to its end
            (the samples before the damage are kept), ``missing_entry`` and ``bad_metadata`` for samples that are left
            out.
        checksum: Compute the SHA-256 too, which reads the whole file.

    Returns:
        The shard's entry.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            samples = tuple(_samples(file, str(path), report))
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest() if checksum else None
    except OSError as error:
        report(SampleError(f"{path}: {error}", "unreadable_shard"))
        return ShardEntry(path.name, 0, ())
    return ShardEntry(path.name, size, samples, digest)


def read_index(folder: str | Path) -> dict[str, ShardEntry]:
    """Read the index of a folder.

    Returns:
        The entries of the shards by file name; empty where there is no index.

    Raises:
        ValueError: If there is one that is not an index.
    """
    path = Path(folder) / INDEX
    return parse_index(path.read_bytes(), str(path)) if path.exists() else {}


def parse_index(content: bytes, source: str) -> dict[str, ShardEntry]:
    """Read an index from its bytes.

    Args:
        content: What ``index.json`` holds.
        source: Where it is from, for messages.

    Raises:
        ValueError: If it is not an index.
    """
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise ValueError(f"format must be {FORMAT!r}, got {document['format']!r}")
        return {entry.name: entry for entry in map(_from_json, document["shards"])}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{source} is no index of shards ({type(error).__name__}: {error}); delete it and make it anew with "
            "python -m ornament_lit data check FOLDER"
        ) from error


def write_index(folder: str | Path, entries: Iterable[ShardEntry]) -> Path:
    """Write the index of a folder, sorted by name; a reader sees the old one or the new one.

    Args:
        folder: Where the shards are.
        entries: All shards of the folder, with checksums.

    Returns:
        The path of ``index.json``.
    """
    path = Path(folder) / INDEX
    shards = [_to_json(entry) for entry in sorted(entries, key=lambda entry: entry.name)]
    lines = ",\n".join(json.dumps(shard, separators=(",", ":")) for shard in shards)
    write_file(path, f'{{"format": "{FORMAT}", "shards": [\n{lines}\n]}}\n'.encode())
    return path


def _to_json(entry: ShardEntry) -> dict[str, Any]:
    return {
        "shard": entry.name,
        "bytes": entry.bytes,
        "sha256": entry.sha256,
        "samples": len(entry.samples),
        "keys": [row.key for row in entry.samples],
        "types": [row.category for row in entry.samples],
        "offsets": [row.offset for row in entry.samples],
        "sizes": [row.size for row in entry.samples],
    }


def _from_json(shard: dict[str, Any]) -> ShardEntry:
    columns = [shard[name] for name in ("keys", "types", "offsets", "sizes")]
    samples = tuple(SampleRow(str(row[0]), str(row[1]), int(row[2]), int(row[3])) for row in zip(*columns, strict=True))
    for row in samples:
        _check_key(row.key)
        if not 0 <= row.offset <= row.offset + row.size <= int(shard["bytes"]):
            raise ValueError(f"{row.key} must lie in the {shard['bytes']} bytes of {shard['shard']}, got {row}")
    if len(samples) != shard["samples"]:
        raise ValueError(f"{shard['shard']} must list {shard['samples']} samples, got {len(samples)}")
    digest = shard["sha256"]
    name = str(shard["shard"])
    if PurePosixPath(name).name != name:
        raise ValueError(f"a shard must be a file name without folders, got {name!r}")
    return ShardEntry(name, int(shard["bytes"]), samples, None if digest is None else str(digest))


def _check_key(key: str) -> None:
    if ".." in PurePosixPath(key).parts or key.startswith("/"):
        raise ValueError(f"a key must not lead out of its folder, got {key!r}")
    if not key.isprintable():
        raise ValueError(f"a key must be of letters that can be printed, got {key!r}")


def _samples(file: BinaryIO, source: str, report: Callable[[SampleError], None]) -> Iterator[SampleRow]:
    for key, group in groupby(_members(file, source, report), key=lambda member: member.key):
        members = list(group)
        try:
            category = _category(file, source, key, members)
        except SampleError as error:
            report(error)
            continue
        start = members[0].info.offset
        yield SampleRow(key, category, start, members[-1].end - start)


def _members(file: BinaryIO, source: str, report: Callable[[SampleError], None]) -> list[_Member]:
    """List the entries of samples in a tar; a damage is reported and ends the list."""
    members: list[_Member] = []
    end = 0
    try:
        for info, stop in walk_headers(file):
            key, entry = base_plus_ext(info.name)
            if info.isfile() and key:
                members.append(_Member(key, entry.lower(), info, stop))
            end = stop
        _check_end(file, end)
    except BROKEN as error:
        report(SampleError(f"{source}: {error}", "unreadable_shard"))
    return members


def _check_end(file: BinaryIO, end: int) -> None:
    """Check what tarfile does not: that it stopped at the end marker and not at a damaged header."""
    file.seek(end)
    length = 0
    while rest := file.read(1 << 16):
        length += len(rest)
        if rest.strip(b"\0"):
            raise ValueError(f"a damaged header at byte {end}: the rest of the shard cannot be read")
    if length < END_OF_TAR:
        raise ValueError("the tar has no end marker: the shard is cut off")


def _category(file: BinaryIO, source: str, key: str, members: list[_Member]) -> str:
    sample: dict[str, Any] = {"__key__": key, "__url__": source}
    try:
        _check_key(key)
    except ValueError as error:
        raise SampleError(f"{source}: {key}: {error}", "bad_metadata") from error
    for member in members:
        sample[member.entry] = b""
        if member.entry == "json":
            file.seek(member.info.offset_data)
            sample["json"] = file.read(min(member.info.size, member.end - member.info.offset_data))
    return describe(sample).category
