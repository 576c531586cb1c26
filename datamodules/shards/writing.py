"""Samples to shards: the same samples give the same bytes, and a shard has its name only when it is whole."""

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from datamodules.shards.index import ShardEntry, scan_shard
from ornament_lit.utils.files import atomic_path


def write_shard(
    path: str | Path,
    samples: Iterable[tuple[str, Mapping[str, bytes]]],
    before: Callable[[ShardEntry], None] = lambda entry: None,
) -> ShardEntry:
    """Write samples into a new shard.

    The tar is written to ``<path>.part``, read back and renamed: whatever happens, there is never half a shard under
    the final name. Nothing but keys and bytes goes into it (no times, no owners).

    Args:
        path: Where to; a shard that is there is replaced.
        samples: Key and entries of each, such as ``{"person.jpg": ..., "json": ...}``; see
            :mod:`datamodules.samples.schema`.
        before: Called with the entry before the shard gets its name, to write down what must not be lacking then.

    Returns:
        The shard's entry for the index, with its checksum.

    Raises:
        SampleError: If a sample lacks an entry of the schema or its metadata cannot be read.
        ValueError: If a key comes twice, or it has a dot, which would end it early.
        OSError: If it cannot be written.
    """
    path = Path(path)
    with atomic_path(path) as part:
        with tarfile.open(part, "w", format=tarfile.USTAR_FORMAT) as archive:
            written: set[str] = set()
            for key, entries in samples:
                if key in written or "." in key:
                    raise ValueError(f"a key must come once and have no dot, got {key!r} in {path.name}")
                written.add(key)
                for name in sorted(entries):
                    _add(archive, f"{key}.{name}", entries[name])
        entry = replace(scan_shard(part, checksum=True), name=path.name)
        before(entry)
    return entry


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    archive.addfile(info, io.BytesIO(content))
