"""Bytes from a URL, in pieces, from a remote that may stop sending at any time.

http and https are read by urllib. Other schemes are read by webdataset's openers, which start a program with a list
of arguments and no shell; a watchdog ends it when it stops sending.
"""

import os
import select
import subprocess
from collections.abc import Iterator
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.request import urlopen

from datamodules.storage.retry import RefusedError
from datamodules.storage.shard_paths import scheme_of, start_program

PIECE = 1 << 20
WEB = ("http", "https")
PASSING = (408, 425, 429)
"""Answers of a web server that, like all from 500 on, may be others the next time."""


def is_remote(shard: str) -> bool:
    """Whether a shard is a URL."""
    return scheme_of(shard) is not None


def read_url(url: str, timeout: float) -> bytes:
    """Everything that :func:`stream_url` gives."""
    return b"".join(stream_url(url, timeout))


def stream_url(url: str, timeout: float) -> Iterator[bytes]:
    """Read a URL.

    Args:
        url: A URL of one of :data:`datamodules.storage.shard_paths.REMOTE`.
        timeout: Seconds after which a remote that sends nothing is given up.

    Yields:
        Its bytes, in pieces of at most a mebibyte.

    Raises:
        OSError: If it cannot be read to its end; TimeoutError if the remote stops sending, RefusedError if a web
            server answers that it does not give it.
    """
    yield from _from_web(url, timeout) if scheme_of(url) in WEB else _from_program(url, timeout)


def _from_web(url: str, timeout: float) -> Iterator[bytes]:
    try:
        with urlopen(url, timeout=timeout) as response:
            while piece := response.read1(PIECE):
                yield piece
    except TimeoutError as error:
        raise TimeoutError(f"{url}: nothing came for {timeout:g} s") from error
    except (OSError, HTTPException) as error:
        if isinstance(getattr(error, "reason", None), TimeoutError):
            raise TimeoutError(f"{url}: no answer for {timeout:g} s") from error
        refused = isinstance(error, HTTPError) and error.code < 500 and error.code not in PASSING
        raise (RefusedError if refused else OSError)(f"{url}: {error or type(error).__name__}") from error


def _from_program(url: str, timeout: float) -> Iterator[bytes]:
    process = start_program(url)
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    try:
        while True:
            if not select.select([descriptor], [], [], timeout)[0]:
                raise TimeoutError(f"{url}: {process.args!r} sent nothing for {timeout:g} s")
            piece = os.read(descriptor, PIECE)
            if not piece:
                break
            yield piece
        if process.wait(timeout):
            raise OSError(f"{url}: {process.args!r} ended with code {process.returncode}")
    except subprocess.TimeoutExpired as error:
        raise TimeoutError(f"{url}: {error}") from error
    finally:
        process.stdout.close()
        process.kill()
        process.wait()
