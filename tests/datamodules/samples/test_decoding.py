import io
import json
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.correspondence_png import encode_correspondence
from datamodules.samples.decoding import MAX_PIXELS, Triplet, decode, describe
from datamodules.storage.sample_errors import SampleError

Draw = Callable[..., dict[str, bytes]]


def load(entries: dict[str, bytes]) -> Triplet:
    sample = {"__key__": "k7", "__url__": "some.tar", **entries}
    return decode(sample, describe(sample))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """PNG of a few bytes whose header announces many pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def metadata(**values: object) -> bytes:
    return json.dumps({"type": "ring", "box": [1, 2, 30, 40], **values}).encode()


def test_a_good_sample(draw_entries: Draw) -> None:
    triplet = load(draw_entries(1))
    assert triplet.category == "ring" and triplet.key == "k7" and triplet.box == (12, 16, 36, 32)
    assert triplet.person.mode == "RGB" and triplet.wearing_mask.mode == "L"
    assert triplet.ornament.size == triplet.wearing_mask.size == (48, 48)


def test_the_person_without_the_ornament_is_decoded_where_it_was_read(draw_entries: Draw) -> None:
    entries = draw_entries(1)
    assert load(entries).bare is None
    bare = load({**entries, "bare.jpg": entries["ornament.jpg"]}).bare
    assert bare is not None and bare.mode == "RGB" and bare.size == (48, 48)
    with pytest.raises(SampleError, match=r"bare\.jpg has \(24, 24\) pixels, the person's image \(48, 48\)") as caught:
        load({**entries, "bare.jpg": draw_entries(1, size=24)["person.jpg"]})
    assert caught.value.reason == "size_mismatch"


@pytest.mark.parametrize(
    ("counts", "number"),
    [(None, -1), (0, 0), (7, 7), ({"beads": 15, "strands": 1}, 15), ({"links": 3, "stones": 2}, 5)],
)
def test_parts_are_counted_without_strands(draw_entries: Draw, counts: object, number: int) -> None:
    assert load(draw_entries(json=metadata(components=counts))).components == number


def test_the_box_is_clipped_to_the_picture(draw_entries: Draw) -> None:
    assert load(draw_entries(json=metadata(box=[-3, 2, 30, 99]))).box == (0, 2, 30, 48)


def test_a_bilevel_mask_is_read(draw_entries: Draw) -> None:
    mask = Image.new("1", (48, 48), 1)
    assert load(draw_entries(wearing_mask__png=png(mask))).wearing_mask.getpixel((0, 0)) == 255


FAULTS = {
    "parts below nought": ("bad_metadata", {"json": metadata(components=-1)}),
    "parts in words": ("bad_metadata", {"json": metadata(components="many")}),
    "cut jpeg": ("undecodable", {"person__jpg": "half"}),
    "no jpeg at all": ("undecodable", {"ornament__jpg": b"nothing"}),
    "empty file": ("undecodable", {"person__jpg": b""}),
    "cut png": ("undecodable", {"wearing_mask__png": "half"}),
    "a png called jpg": ("undecodable", {"person__jpg": png(Image.new("RGB", (48, 48)))}),
    "bomb for Pillow": ("undecodable", {"wearing_mask__png": bomb(60000, 60000)}),
    "bomb for us": ("undecodable", {"wearing_mask__png": bomb(8192, MAX_PIXELS // 8192 + 1)}),
    "16 bit mask": ("undecodable", {"wearing_mask__png": png(Image.new("I;16", (48, 48), 65535))}),
    "coloured mask": ("undecodable", {"ornament_mask__png": png(Image.new("RGB", (48, 48), (255, 255, 255)))}),
    "no mask": ("missing_entry", {"wearing_mask__png": None}),
    "no metadata": ("missing_entry", {"json": None}),
    "black mask": ("empty_mask", {"wearing_mask__png": png(Image.new("L", (48, 48)))}),
    "faint mask": ("empty_mask", {"ornament_mask__png": png(Image.new("L", (48, 48), 127))}),
    "small mask": ("size_mismatch", {"wearing_mask__png": png(Image.new("L", (24, 24), 255))}),
    "turned mask": ("size_mismatch", {"ornament_mask__png": png(Image.new("L", (48, 47), 255))}),
    "no json": ("bad_metadata", {"json": b"{"}),
    "no utf-8": ("bad_metadata", {"json": b"\xff\xfe\xfd"}),
    "a list": ("bad_metadata", {"json": b"[]"}),
    "deep json": ("bad_metadata", {"json": b"[" * 100000}),
    "unknown type": ("bad_metadata", {"json": metadata(type="tiara")}),
    "type is a list": ("bad_metadata", {"json": metadata(type=["ring"])}),
    "no box": ("bad_metadata", {"json": b'{"type": "ring"}'}),
    "null box": ("bad_metadata", {"json": metadata(box=None)}),
    "three numbers": ("bad_metadata", {"json": metadata(box=[1, 2, 3])}),
    "turned box": ("bad_metadata", {"json": metadata(box=[30, 2, 1, 40])}),
    "nan box": ("bad_metadata", {"json": metadata(box=[1, 2, float("nan"), 40])}),
    "huge number": ("bad_metadata", {"json": metadata(box=[1, 2, 10**400, 40])}),
    "box outside": ("bad_metadata", {"json": metadata(box=[48, 2, 60, 40])}),
}


@pytest.mark.parametrize(("reason", "changes"), FAULTS.values(), ids=FAULTS)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_faults_have_a_reason_and_name_shard_and_key(
    draw_entries: Draw, reason: str, changes: dict[str, bytes | str | None]
) -> None:
    whole = draw_entries()
    halves = {
        name: whole[name.replace("__", ".")][: -200 if "jpg" in name else 40] if value == "half" else value
        for name, value in changes.items()
    }
    with pytest.raises(SampleError, match=r"some\.tar: k7: ") as caught:
        load(draw_entries(**halves))
    assert caught.value.reason == reason


def test_optional_entries_are_decoded_where_they_are(draw_entries: Draw) -> None:
    plain = load(draw_entries(1))
    assert plain.correspondence is None and plain.bare is None
    found = load(draw_entries(1) | optional(48))
    assert found.correspondence is not None and found.correspondence.known.shape == (48, 48)
    assert found.bare is not None and found.bare.size == (48, 48)


@pytest.mark.parametrize("entry", ["correspondence.png", "bare.jpg"])
def test_optional_entries_of_another_size_and_damaged_ones_are_faults(draw_entries: Draw, entry: str) -> None:
    with pytest.raises(SampleError, match=rf"some.tar: k7: {entry}.*pixels") as error:
        load(draw_entries(1) | {entry: optional(40)[entry]})
    assert error.value.reason == "size_mismatch"
    for content in (b"", b"nothing", optional(48)[entry][:60]):
        with pytest.raises(SampleError, match=entry) as error:
            load(draw_entries(1) | {entry: content})
        assert error.value.reason == "undecodable"


def optional(size: int) -> dict[str, bytes]:
    """A correspondence that knows the upper half, and a bare person."""
    known = np.zeros((size, size), np.float32)
    known[: size // 2] = 1
    buffer = io.BytesIO()
    Image.new("RGB", (size, size)).save(buffer, "JPEG")
    points = np.full((size, size, 2), 5, np.float32) * known[..., None]
    picture = encode_correspondence(PixelCorrespondence(points, known, known))
    return {"correspondence.png": picture, "bare.jpg": buffer.getvalue()}


def test_an_oriented_box_is_kept_beside_the_one_around_it(draw_entries: Draw) -> None:
    triplet = load(draw_entries(json=metadata(box=[12, 16, 36, 32, 90])))
    assert triplet.box == (16, 12, 32, 36) and triplet.oriented_box == (12, 16, 36, 32, 90)
    assert load(draw_entries(1)).oriented_box is None
    assert load(draw_entries(json=metadata(box=[-10, 16, 30, 32, 90]))).box == (2, 4, 18, 44)
    assert load(draw_entries(json=metadata(box=[12, 30, 36, 46, 90]))).box == (16, 26, 32, 48)


@pytest.mark.parametrize("box", [[1, 2, 3], [1, 2, 30, 40, 5, 6], [1, 2, 30, 40, "x"], [60, 2, 70, 9, 30]])
def test_boxes_that_are_none(draw_entries: Draw, box: list[object]) -> None:
    with pytest.raises(SampleError) as caught:
        load(draw_entries(json=metadata(box=box)))
    assert caught.value.reason == "bad_metadata"
