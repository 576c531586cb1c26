"""Shards that are broken in every way we know of, each drawn from a number."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
from collections.abc import Callable
from functools import cache
from itertools import islice
from random import Random

from PIL import Image

from datamodules.samples.schema import ENTRIES
from datamodules.shards.index import raise_sample_error
from datamodules.shards.reading import read_shard
from datamodules.storage.shard_paths import resolve_shards

BLOCK = 512
Members = list[tuple[str, bytes]]
SIZES = [
    b"77777777777\0",
    b"00400000000\0",
    b"00000000000\0",
    b"-1         \0",
    b"-1000      \0",
    b"\x80" + b"\xff" * 11,
    b"\x80" + bytes(7) + b"\xff" * 4,
    b"\x80\0\0\0\x7f" + b"\xff" * 7,
    b"\xff" * 12,
    b"\xff" * 10 + b"\xfe\0",
    b"\xff" * 9 + b"\xf0\0\0",
    bytes(12),
]
TYPES = [bytes([kind]) for kind in b"01234567xgXSLKDMNV\0\xff"]
PAX = [
    b"GNU.sparse.map=0,1,9999999999,1",
    b"GNU.sparse.size=99999999999",
    b"GNU.sparse.major=1\n30 GNU.sparse.minor=0",
    b"hdrcharset=BINARY",
    b"hdrcharset=\xff\xfe",
    b"mtime=nan",
    b"path=" + b"k" * 5000 + b".json",
    b"path=\xff\xfe.json",
    b"path=a\nb.json",
    b"size=-512",
    b"size=-99999999999",
    b"size=99999999999999999999999999",
    b"size=0",
    b"size=x",
]
KEYS = [
    "k" * 5000,
    "a\nb",
    "\x1b[31mred",
    "\udcff\udcfe",
    "[bold]k[/]",
    "..",
    "/etc/k",
    "../../k",
    "ключ",
    "💍",
    " ",
    "",
]
TEXTS = [
    b"",
    b"[]",
    b"null",
    b"{",
    b"[" * 100_000,
    b'{"type": "ring", "box": [0, 0, 1e999, 9]}',
    b'{"type": "ring", "box": [NaN, 0, 9, 9]}',
    b'{"type": "ring", "box": [9, 9, 0, 0]}',
    b'{"type": "ring", "box": [-5, -5, -1, -1]}',
    b'{"type": "ring", "box": [1, 2, 3]}',
    b'{"type": "ring", "box": "0 0 9 9"}',
    b'{"type": ["ring"], "box": [0, 0, 9, 9]}',
    b'{"type": "ring", "box": [0, 0, 9, 9], "components": -1}',
    b'{"type": "ring", "box": [0, 0, 9, 9], "components": {"beads": 1e999}}',
    b'{"type": "ring", "box": [0, 0, ' + b"9" * 5000 + b", 9]}",
    b"\xff\xfe\x00",
]


def tar(*members: tuple[str, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind, errors="surrogateescape") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def with_checksum(header: bytearray) -> bytes:
    """Make a header valid again after an edit."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def headers_of(content: bytes) -> list[int]:
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [member.offset for member in archive]


@cache
def good_members(count: int = 3) -> Members:
    samples = islice(read_shard(resolve_shards("bundled:rendered_128/val-*.tar")[0], raise_sample_error), count)
    return [(f"{raw['__key__']}.{entry}", raw[entry]) for raw in samples for entry in ENTRIES]


@cache
def good_shard() -> bytes:
    """Three of the bundled samples."""
    return tar(*good_members())


def record(word: bytes) -> bytes:
    """A record of a pax header, which begins with its own length."""
    length = next(n for n in range(len(word) + 3, len(word) + 9) if len(b"%d %s\n" % (n, word)) == n)
    return b"%d %s\n" % (length, word)


def extended_header(kind: bytes, content: bytes, size: int | None = None) -> bytes:
    """A header of pax or GNU's long names, with its content; ``size`` is what it says of its length."""
    info = tarfile.TarInfo("k")
    info.type, info.size = kind, len(content) if size is None else size
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % BLOCK)


def _edit_header(random: Random, place: int, values: list[bytes]) -> bytes:
    data, value = bytearray(good_shard()), random.choice(values)
    start = random.choice(headers_of(good_shard()))
    header = data[start : start + BLOCK]
    header[place : place + len(value)] = value
    data[start : start + BLOCK] = with_checksum(header)
    return bytes(data)


def wrong_size(random: Random) -> bytes:
    return _edit_header(random, 124, SIZES)


def wrong_type(random: Random) -> bytes:
    return _edit_header(random, 156, TYPES)


def wrong_field(random: Random) -> bytes:
    return _edit_header(random, random.randrange(500), [random.randbytes(random.randint(1, 12))])


def extended(random: Random) -> bytes:
    """A pax header or long name before a member: odd words, wrong lengths, keys without end."""
    content = random.choice([*map(record, PAX), b"1" * 9000, b"0 a=b\n"])
    size = random.choice([None, None, None, 2**33, 2**62, 7])
    start = random.choice(headers_of(good_shard()))
    header = extended_header(random.choice([b"x", b"x", b"g", b"L", b"K", b"X"]), content, size)
    return good_shard()[:start] + header * random.choice([1, 1, 2, 300]) + good_shard()[start:]


def sparse(random: Random) -> bytes:
    """GNU's old sparse header, which goes on in blocks that may not be there."""
    data = bytearray(wrong_type(Random(0)))
    start = headers_of(good_shard())[random.choice([-1, -1, 3])]
    header = bytearray(good_shard()[start : start + BLOCK])
    header[156:157], header[482] = b"S", random.choice([0, 1])
    header[386:410], header[483:495] = b"00000000000\0" * 2, b"\x80" + (64 * 2**30).to_bytes(11, "big")
    data = bytearray(good_shard()[:start]) + with_checksum(header)
    return bytes(data) if random.random() < 0.5 else bytes(data) + good_shard()[start + BLOCK :]


def cut(random: Random) -> bytes:
    return good_shard()[: random.randrange(len(good_shard()))]


def damaged(random: Random) -> bytes:
    data = bytearray(good_shard())
    for _ in range(random.randint(1, 5)):
        start, length = random.randrange(len(data)), random.randint(1, 2000)
        data[start : start + length] = random.choice(
            [random.randbytes(length), bytes(length), b"", data[start:][:4000]]
        )
    return bytes(data)


def nothing(random: Random) -> bytes:
    whole = good_shard()
    others = [gzip.compress(whole), bz2.compress(whole), lzma.compress(whole), gzip.compress(bytes(1 << 22))]
    return random.choice([b"", bytes(10240), b"<html>404</html>" * 99, random.randbytes(5000), b"x" * 5000, *others])


def odd_key(random: Random) -> bytes:
    key, (first, *_) = random.choice(KEYS), good_members(1)[0][0].split(".")
    members = [(name.replace(first, key), content) for name, content in good_members()]
    return tar(*members, kind=random.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))


def odd_text(random: Random) -> bytes:
    text = random.choice([*TEXTS, json.dumps({"type": "ring", "box": [0, 0, 9, 9], "kind": "\n\x1b" * 9999}).encode()])
    return tar(*((name, text if name.endswith("json") else content) for name, content in good_members()))


@cache
def _picture(mode: str, side: tuple[int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, side, 1).save(buffer, "PNG")
    return buffer.getvalue()


def odd_picture(random: Random) -> bytes:
    """Cut, of another format, mode or size, or so large that decoding it would fill the memory."""
    entry = random.choice(["ornament.jpg", "ornament_mask.png", "person.jpg", "wearing_mask.png"])
    side = random.choice([(1, 1), (128, 128), (128, 127), (3000, 3000), (9000, 8000)])
    picture = _picture(random.choice(["1", "L", "RGB", "RGBA", "P", "I;16"]), side)
    new = random.choice([b"", b"GIF89a", random.randbytes(300), picture, picture, None])
    members = [(name, (content[:-300] if new is None else new) if name.endswith(f".{entry}") else content)
               for name, content in good_members()]  # fmt: skip
    return tar(*members)


def odd_members(random: Random) -> bytes:
    """Entries that are absent, come twice, or are mixed with those of other samples."""
    members = random.choices(good_members(), k=random.randint(1, 20))
    return tar(*members)


KINDS: list[Callable[[Random], bytes]] = [
    wrong_size,
    wrong_type,
    wrong_field,
    extended,
    sparse,
    cut,
    damaged,
    nothing,
    odd_key,
    odd_text,
    odd_picture,
    odd_members,
]


def broken_shard(number: int) -> bytes:
    """The shard of a number; the kinds come in turn."""
    return KINDS[number % len(KINDS)](Random(number))
