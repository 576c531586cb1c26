"""Shards as files on this machine: local ones where they are, remote ones copied whole into a folder."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock, Timeout

from datamodules.shards.index import ShardEntry
from datamodules.shards.reading import RawSample, is_entry, read_sample
from datamodules.shards.sample_index import Place
from datamodules.storage.remote import is_remote, stream_url
from datamodules.storage.retry import Retries, is_of_the_storage, local_may_pass, remote_may_pass, within
from datamodules.storage.sample_errors import SampleError
from ornament_lit.utils.files import ASIDE

ATTEMPTS = 3
GIBIBYTE = 2**30
UNFINISHED = (ASIDE, ".lock")


def default_folder() -> Path:
    """Folder for copies of remote shards in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ornament_lit" / "shards"


@dataclass(frozen=True)
class ShardCache:
    """Opens shards; one process of a machine copies a remote one, and the others wait for it.

    Attributes:
        folder: Where copies are kept; made when it is needed.
        limit: GiB of copies: those that were used longest ago make room for new ones. None for no limit.
        timeout: Seconds after which a remote, or a disk, that sends nothing is given up.
        retries: How often reading is tried again.
    """

    folder: Path = field(default_factory=default_folder)
    limit: float | None = None
    timeout: float = 60.0
    retries: Retries = field(default_factory=Retries)

    def read(self, place: Place, wanted: Callable[[str], bool] = is_entry) -> RawSample:
        """Read a sample, again where the storage fails or stalls for a while.

        Args:
            place: Where it lies.
            wanted: See :func:`datamodules.shards.reading.read_sample`.

        Raises:
            SampleError: ``unreadable``, if its bytes cannot be read or are not those of the sample.
            OSError: If its shard cannot be read at all: a remote one not be copied, or a local one lies on storage
                that is away.
        """

        def action() -> RawSample:
            with self.open(place) as file:
                return read_sample(file, place, wanted)

        if is_remote(place.shard):
            return action()
        try:
            return self.retries(lambda: within(self.timeout, action, place.shard), place.shard, local_may_pass)
        except (OSError, SampleError) as error:
            if not is_of_the_storage(error):
                raise
            raise OSError(f"{place.shard} cannot be read, tried {self.retries.attempts} times: {error}") from error

    def open(self, place: Place) -> BinaryIO:
        """Open the shard of a sample for reading.

        Raises:
            SampleError: ``unreadable``, if a local shard cannot be opened.
            OSError: If a remote shard cannot be copied: all of its samples are missing, not only one.
        """
        if is_remote(place.shard):
            return self._open_copy(place.shard, place.entry)
        try:
            return open(place.shard, "rb")
        except OSError as error:
            raise SampleError(f"{place.shard}: {place.row.key}: {error}", "unreadable") from error

    def _open_copy(self, url: str, entry: ShardEntry) -> BinaryIO:
        """Open the copy of a shard; it may be taken away by another process between any two lines."""
        name = entry.sha256 or hashlib.sha256(f"{url} {entry.bytes}".encode()).hexdigest()
        path = self.folder / f"{name[:16]}-{entry.name}"
        for _ in range(ATTEMPTS):
            try:
                file = open(path, "rb")
                os.utime(file.fileno())
                return file
            except FileNotFoundError:
                self._fetch(url, entry, path)
        raise OSError(f"{path} was removed as soon as it was there; raise data.cache_limit, now {self.limit} GiB")

    def _fetch(self, url: str, entry: ShardEntry, path: Path) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._turn(path):
            if path.exists():
                return
            self._make_room(entry.bytes)
            try:
                self.retries(lambda: self._copy(url, entry, path), url, remote_may_pass)
            except OSError as error:
                tried = f", tried {self.retries.attempts} times" if remote_may_pass(error) else ""
                raise OSError(f"{url} cannot be copied to {self.folder}{tried}: {error}") from error

    def _copy(self, url: str, entry: ShardEntry, path: Path) -> None:
        digest, size, part = hashlib.sha256(), 0, _part(path)
        with open(part, "wb") as file:
            for piece in stream_url(url, self.timeout):
                digest.update(piece)
                size += file.write(piece)
                if size > entry.bytes:
                    break
        if size != entry.bytes or entry.sha256 not in (None, digest.hexdigest()):
            part.unlink()
            raise OSError(f"its bytes are not those of the index ({size} of {entry.bytes} bytes came)")
        os.replace(part, path)

    @contextmanager
    def _turn(self, path: Path) -> Iterator[None]:
        """Wait until no other process copies a shard, for as long as its copy grows."""
        lock, seen = FileLock(f"{path}.lock"), -1
        while not lock.is_locked:
            try:
                lock.acquire(timeout=2 * self.timeout + self.retries.longest)
            except Timeout as error:
                size = _part(path).stat().st_size if _part(path).exists() else 0
                if size == seen:
                    raise TimeoutError(
                        f"another process holds {path}.lock and copies nothing; end it, or choose another "
                        "data.cache_dir"
                    ) from error
                seen = size
        try:
            yield
        finally:
            lock.release()

    def _make_room(self, size: int) -> None:
        if self.limit is None:
            return
        copies = [path for path in self.folder.iterdir() if path.suffix not in UNFINISHED]
        known = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in copies if path.exists())
        excess = sum(bytes_ for _, bytes_, _ in known) + size - self.limit * GIBIBYTE
        for _, bytes_, path in known:
            if excess > 0:
                path.unlink(missing_ok=True)
                excess -= bytes_


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}{ASIDE}")
