"""Where the shards are: from what a user writes to a list of files and URLs.

Security: data and configurations must not be able to run a command. webdataset runs what follows ``pipe:`` in a
shell, also where a file of such a name turns up in a folder. So ``pipe:`` and unknown schemes are refused here,
local shards are opened with :func:`open` (never by webdataset's ``gopen``), those of the web by urllib, and others by
webdataset's openers for the schemes in :data:`REMOTE`, which start ``curl``, ``gsutil`` or ``ais`` with a list of
arguments and no shell. (``GOPEN_REWRITE``, ``USE_AIS_FOR`` belong to the user's environment and are left as they are.)
"""

import glob
import re
import subprocess
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import cast

from braceexpand import braceexpand
from webdataset.gopen import gopen, gopen_schemes

from ornament_lit.utils.bundled import BUNDLED

REMOTE = ("http", "https", "s3", "gs", "hf", "ais")
SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")


def resolve_shards(specification: str | Sequence[str]) -> list[str]:
    """List the shards that a specification means.

    Args:
        specification: One of, or a list of: a path; a pattern with braces (``train-{000000..000003}.tar``) or
            wildcards (``train-*.tar``); a folder (all its ``*.tar``); ``bundled:`` and a path or pattern in this
            package (``bundled:rendered_128/train-*.tar``); a URL of http, https, s3, gs, hf or ais, with braces.

    Returns:
        Absolute paths and URLs, each once, in the order of the specification and sorted within a pattern.

    Raises:
        ValueError: If nothing is given, braces are not closed, or a URL has a scheme that is not supported.
        FileNotFoundError: If a path or pattern matches nothing.
    """
    patterns = [specification] if isinstance(specification, str) else list(specification)
    shards = [shard for pattern in patterns for item in _expand(pattern) for shard in _resolve(item, pattern)]
    if not shards:
        raise ValueError("at least one shard is needed, got none; give a path, a pattern, a folder or a URL")
    return list(dict.fromkeys(shards))


def _expand(pattern: str) -> list[str]:
    try:
        return list(braceexpand(pattern))
    except ValueError as error:
        raise ValueError(
            f"each brace of a pattern must be closed, as in train-{{000000..000003}}.tar, got {pattern!r}"
        ) from error


def _resolve(item: str, pattern: str) -> list[str]:
    if item.startswith(BUNDLED):
        return _match(Path(str(files("datamodules"))) / item.removeprefix(BUNDLED), pattern)
    scheme = scheme_of(item)
    if scheme is None:
        return _match(Path(item).expanduser().absolute(), pattern)
    if scheme not in REMOTE:
        raise ValueError(
            f"a shard is a path, {BUNDLED}..., or a URL of {', '.join(REMOTE)}, got {item!r}; pipe: is refused "
            "because it runs a shell: copy the shards to a disk, and write ./ before a path with a colon"
        )
    return [item]


def _match(path: Path, pattern: str) -> list[str]:
    if path.is_dir():
        found = sorted(path.glob("*.tar"))
    else:
        found = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if not found:
        raise FileNotFoundError(
            f"no shard matches {pattern!r} (there is no {path}); give a path, pattern or folder of *.tar"
        )
    return [str(name) for name in found]


def scheme_of(shard: str) -> str | None:
    """Scheme of a URL in small letters; None for a path."""
    scheme = SCHEME.match(shard)
    return scheme and scheme[1].lower()


def start_program(url: str) -> "subprocess.Popen[bytes]":
    """Start the program that fetches a URL which is not of the web, such as s3, gs, hf or ais.

    Args:
        url: A URL that :func:`resolve_shards` listed.

    Returns:
        A process that writes the bytes to its standard output.

    Raises:
        OSError: If the program cannot be started.
    """
    if scheme_of(url) == "s3" and "s3" not in gopen_schemes:
        command = ["aws", "s3", "cp", "--only-show-errors", url, "-"]
        return subprocess.Popen(command, stdout=subprocess.PIPE)
    return cast("subprocess.Popen[bytes]", gopen(url, "rb").proc)
