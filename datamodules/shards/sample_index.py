"""The samples of a list of shards, by the shards' index: which there are, and where each of them lies."""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from datamodules.shards.index import INDEX, SampleRow, ShardEntry, parse_index, read_index, scan_shard
from datamodules.storage.remote import is_remote, read_url
from datamodules.storage.retry import Retries, remote_may_pass
from datamodules.storage.sample_errors import SampleError

logger = logging.getLogger(__name__)

MAKE_INDEX = "python -m ornament_lit data check FOLDER"
COMPRESSED = (".gz", ".tgz", ".bz2", ".xz", ".zst")


class Place(NamedTuple):
    """Where a sample lies.

    Attributes:
        shard: Absolute path or URL.
        entry: What the index says of the shard.
        row: What the index says of the sample.
    """

    shard: str
    entry: ShardEntry
    row: SampleRow


@dataclass(frozen=True)
class Catalogue:
    """All samples of a list of shards, in the order of the list and of each shard.

    Attributes:
        shards: Absolute paths and URLs.
        entries: What the index says of each of them.
    """

    shards: tuple[str, ...]
    entries: tuple[ShardEntry, ...]

    def __len__(self) -> int:
        """Number of samples, N."""
        return int(self._ends[-1]) if len(self._ends) else 0

    @cached_property
    def keys(self) -> list[str]:
        """Key of each sample."""
        return [row.key for entry in self.entries for row in entry.samples]

    @cached_property
    def categories(self) -> list[str]:
        """Type of each sample."""
        return [row.category for entry in self.entries for row in entry.samples]

    @cached_property
    def fingerprint(self) -> str:
        """Checksum of everything that an order depends on: names of the shards, and keys, types and places."""
        digest = hashlib.sha256()
        for entry in self.entries:
            digest.update(repr((entry.name, [tuple(row) for row in entry.samples])).encode())
        return digest.hexdigest()

    def rows_of(self, shard: int) -> NDArray[np.int64]:
        """Numbers of the samples of a shard."""
        return np.arange(self._ends[shard] - len(self.entries[shard].samples), self._ends[shard])

    def place(self, sample: int) -> Place:
        """Find a sample."""
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        entry = self.entries[shard]
        return Place(self.shards[shard], entry, entry.samples[sample - int(self._ends[shard])])

    def alike(self, sample: int) -> list[int]:
        """Numbers of the samples of the same shard that have the type of a sample, itself among them."""
        shard = int(np.searchsorted(self._ends, sample, side="right"))
        rows = self.entries[shard].samples
        first = int(self._ends[shard]) - len(rows)
        category = rows[sample - first].category
        return [first + place for place, row in enumerate(rows) if row.category == category]

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum([len(entry.samples) for entry in self.entries], dtype=np.int64)


ONCE = Retries(attempts=1)


def open_catalogue(
    shards: Iterable[str], report: Callable[[SampleError], None], timeout: float, retries: Retries = ONCE
) -> Catalogue:
    """List the samples of shards: from the index beside them or, for local ones that have none, by walking them.

    Args:
        shards: Paths and URLs, as :func:`datamodules.storage.shard_paths.resolve_shards` gives them.
        report: Called with what is wrong with shards that are walked; see :func:`datamodules.shards.index.scan_shard`.
        timeout: Seconds after which a remote that sends nothing is given up.
        retries: How often a remote index is tried again.

    Raises:
        ValueError: If an index cannot be read, a remote shard has none, a local shard is of another size than its
            index says or is compressed, or there is not one sample.
        OSError: If a remote index cannot be fetched.
    """
    indexes: dict[str, dict[str, ShardEntry]] = {}
    places = {shard: _folder_and_name(shard) for shard in shards}
    for folder in dict.fromkeys(folder for folder, _ in places.values()):
        indexes[folder] = _remote_index(folder, timeout, retries) if is_remote(folder) else read_index(folder)
    entries = tuple(_entry(shard, indexes[folder].get(name), report) for shard, (folder, name) in places.items())
    walked = sum(name not in indexes[folder] for folder, name in places.values())
    if walked:
        logger.info("%d shards without an index were walked; %s makes one, and checks them", walked, MAKE_INDEX)
    return Catalogue(tuple(places), entries)


def _folder_and_name(shard: str) -> tuple[str, str]:
    if not is_remote(shard):
        return str(Path(shard).parent), Path(shard).name
    path = urlsplit(shard).path
    return shard.partition("?")[0].rpartition("/")[0], unquote(PurePosixPath(path).name)


def _remote_index(folder: str, timeout: float, retries: Retries) -> dict[str, ShardEntry]:
    source = f"{folder}/{INDEX}"
    try:
        content = retries(lambda: read_url(source, timeout), source, remote_may_pass)
    except OSError as error:
        raise OSError(
            f"remote shards need an index beside them, and {source} cannot be read ({error}); make it where the shards "
            f"are, with {MAKE_INDEX}, and copy it there"
        ) from error
    return parse_index(content, source)


def _entry(shard: str, indexed: ShardEntry | None, report: Callable[[SampleError], None]) -> ShardEntry:
    if shard.endswith(COMPRESSED):
        raise ValueError(
            f"a shard must be a tar that is not compressed, got {shard}; unpack it (images are small already)"
        )
    if indexed is None:
        if is_remote(shard):
            raise ValueError(f"{shard} is not in the {INDEX} beside it; make it anew with {MAKE_INDEX}")
        return scan_shard(shard, report)
    if not is_remote(shard):
        _check_size(Path(shard), indexed)
    return indexed


def _check_size(path: Path, indexed: ShardEntry) -> None:
    size = path.stat().st_size
    if size != indexed.bytes:
        raise ValueError(
            f"{path} has {size} bytes, its index says {indexed.bytes}: the shard has changed or is cut off; copy it "
            f"again, or check it and make the index anew with {MAKE_INDEX}"
        )
