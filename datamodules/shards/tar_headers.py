"""The headers of a tar, whatever they say: none is believed that leads backwards, out of the file, or has no end."""

import os
import tarfile
from collections.abc import Iterator
from typing import BinaryIO

LONGEST_HEADER = 1 << 14
"""Bytes of the longest extended header that is read: keys and attributes, not contents."""
BROKEN = (tarfile.TarError, ValueError, LookupError, EOFError, OverflowError, RecursionError)
"""What tarfile raises on bytes that are no tar."""


class _Headers:
    """A file for tarfile, which would otherwise make room for whatever size a header claims before it reads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise ValueError(f"an extended header of {size} bytes, the greatest is {LONGEST_HEADER}")
        return self._file.read(size)


def walk_headers(file: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, int]]:
    """Walk the headers of an uncompressed tar from the first to the last; no content is read.

    Args:
        file: The tar, which can be sought in.

    Yields:
        The header of each member and the byte at which the next header begins: its content lies before that.

    Raises:
        ValueError: At a header whose member does not lie in the file, or that does not lead on.
        TarError, LookupError, EOFError, OverflowError, RecursionError: At one that is damaged otherwise; together
            :data:`BROKEN`.
    """
    size, end = file.seek(0, os.SEEK_END), 0
    file.seek(0)
    with tarfile.open(fileobj=_Headers(file), mode="r:") as archive:  # type: ignore[call-overload]
        while info := archive.next():
            if info.size < 0 or not end < archive.offset <= size:
                raise ValueError(
                    f"the member at byte {end} has {info.size} bytes, which are not in the file: it is cut off, or its "
                    "header is damaged"
                )
            end = archive.offset
            yield info, end
