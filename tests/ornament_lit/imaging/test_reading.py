import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from ornament_lit.imaging.reading import MIN_SIDE, Photograph, as_photograph, as_rgb, open_photograph


def noise(mode: str, width: int, height: int, seed: int = 0) -> Image.Image:
    """Random image of any mode."""
    rng = np.random.default_rng(seed)
    if mode in ("I;16", "I;16B"):
        return Image.fromarray(rng.integers(0, 65536, (height, width), np.uint16)).convert(mode)
    bands = len(Image.new(mode, (1, 1)).getbands())
    pixels = rng.integers(0, 256, (height, width, bands), np.uint8).squeeze(-1 if bands == 1 else ())
    if mode == "P":
        image = Image.fromarray(pixels).convert("P")
        image.putpalette(rng.integers(0, 256, 768, np.uint8).tobytes())
        return image
    return Image.fromarray(pixels).convert(mode) if mode == "1" else Image.frombytes(mode, (width, height), pixels)


def encode(image: Image.Image, kind: str, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return Image.open(buffer)


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[274] = orientation
    return exif


def png(width: int, height: int, bits: int = 8, colour: int = 0, values: bytes = b"") -> bytes:
    """PNG by its chunks; without values it only announces the pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(values)) + chunk(b"IEND", b"")


KEPT = [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("I;16", "I;16")]
SIDE = st.integers(MIN_SIDE, 60)


@given(st.sampled_from(KEPT), SIDE, SIDE, st.integers(1, 8), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_png_is_kept_upright_without_loss(
    modes: tuple[str, str], width: int, height: int, turn: int, seed: int
) -> None:
    file = encode(noise(modes[0], width, height, seed), "PNG", exif=turned(turn))
    photograph = as_photograph(file)
    upright = ImageOps.exif_transpose(file).convert(modes[1])
    assert photograph.pixels.mode == modes[1] and photograph.orientation == turn
    assert photograph.pixels.size == upright.size and photograph.pixels.tobytes() == upright.tobytes()
    stored = photograph.as_stored(photograph.pixels)
    assert stored.size == file.size and stored.tobytes() == file.convert(modes[1]).tobytes()


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_unknown_orientation_is_upright(orientation: int) -> None:
    image = noise("RGB", 20, 16)
    photograph = as_photograph(encode(image, "PNG", exif=turned(orientation)))
    assert photograph.orientation == 1 and photograph.pixels.tobytes() == image.tobytes()


TEXT_FOR_A_NUMBER = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abc\0"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0garbage", TEXT_FOR_A_NUMBER])
def test_damaged_exif_data_do_not_matter(exif: bytes) -> None:
    image = noise("RGB", 20, 16)
    assert as_photograph(encode(image, "PNG", exif=exif)).pixels.tobytes() == image.tobytes()


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "WEBP"])
def test_other_formats_are_upright_too(kind: str) -> None:
    file = encode(noise("RGB", 30, 20), kind, exif=turned(6))
    upright = ImageOps.exif_transpose(file)
    assert upright.size == (20, 30) and as_photograph(file).pixels.tobytes() == upright.tobytes()


@pytest.mark.parametrize(("mode", "kept"), [("L", "LA"), ("RGB", "RGBA"), ("P", "RGBA"), ("1", "LA")])
def test_a_transparent_colour_becomes_alpha(mode: str, kept: str) -> None:
    key = {"L": 7, "RGB": (7, 7, 7), "P": 7, "1": 0}[mode]
    image = noise(mode, 16, 16)
    image.paste(key, (0, 0, 16, 16))
    image.paste(1, (0, 0, 8, 16))
    pixels = as_photograph(encode(image, "PNG", transparency=key)).pixels
    assert pixels.mode == kept and pixels.getpixel((12, 3))[-1] == 0 and pixels.getpixel((3, 3))[-1] == 255
    assert as_rgb(pixels).tobytes() == image.convert("RGB").tobytes()


def test_the_model_sees_the_nearest_of_16_bits() -> None:
    grey = Image.fromarray(np.arange(65536, dtype=np.uint16).reshape(256, 256))
    seen = np.asarray(as_rgb(as_photograph(encode(grey, "PNG")).pixels))
    expected = np.rint(np.arange(65536) / 65535 * 255).reshape(256, 256, 1)
    assert np.abs(seen - expected).max() == 0


def test_big_endian_16_bits() -> None:
    image = noise("I;16B", 20, 16)
    pixels = as_photograph(encode(image, "TIFF")).pixels
    assert pixels.mode == "I;16" and np.array_equal(np.asarray(pixels), np.asarray(image))


def test_16_bit_colours_are_halved_with_a_warning(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 65536, (16, 17, 3)).astype(">u2")
    path = tmp_path / "deep.png"
    path.write_bytes(png(17, 16, 16, 2, b"".join(b"\0" + row.tobytes() for row in values)))
    with pytest.warns(UserWarning, match=r"deep\.png has 16 bits a channel"):
        photograph = open_photograph(path)
    assert np.array_equal(np.asarray(photograph.pixels), values >> 8)


def test_cmyk_becomes_rgb_with_a_warning() -> None:
    image = noise("CMYK", 20, 16)
    with pytest.warns(UserWarning, match="CMYK"):
        photograph = as_photograph(encode(image, "TIFF", icc_profile=b"of CMYK"))
    assert photograph.pixels.tobytes() == image.convert("RGB").tobytes() and photograph.pixels.info == {}


def test_ordinary_photographs_give_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
            as_photograph(encode(noise("RGB", 160, 116), kind))
        as_photograph(encode(noise("I;16", 160, 116), "PNG"))


def test_of_the_metadata_only_the_colour_profile_stays() -> None:
    options = {"icc_profile": b"profile", "exif": turned(3), "dpi": (72, 72)}
    assert as_photograph(encode(noise("RGB", 16, 16), "PNG", **options)).pixels.info == {"icc_profile": b"profile"}


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_the_first_frame_is_the_photograph(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "moving"
    colours = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]
    first, *others = (Image.new("RGB", (16, 20), colour) for colour in colours)
    options = {"lossless": True} if kind == "WEBP" else {}
    first.save(path, kind, save_all=True, append_images=others, **options)
    assert open_photograph(path).pixels.convert("RGB").getpixel((3, 3)) == (200, 0, 0)


def test_a_photograph_does_not_share_pixels_with_its_source() -> None:
    image = Image.new("RGB", (16, 16))
    photograph = as_photograph(image)
    image.paste((255, 255, 255), (0, 0, 16, 16))
    assert photograph.pixels.getextrema() == ((0, 0),) * 3
    assert Photograph(image).as_stored(image) is image


BAD = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "text": (b"not an image at all", "must be an image of the formats JPEG, PNG, WEBP"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "must be an image of the formats"),
    "cut": (encode(noise("RGB", 64, 64), "PNG").fp.getvalue()[:-2000], "cannot be read"),
    "1x1": (encode(Image.new("RGB", (1, 1)), "PNG").fp.getvalue(), "at least 16 pixels wide and high, got 1x1"),
    "thin": (encode(Image.new("RGB", (400, 15)), "PNG").fp.getvalue(), "got 400x15"),
    "20,000 x 20,000": (
        png(20000, 20000),
        r"at most 67108864 pixels \(8192x8192\), got 400000000 pixels; scale it down",
    ),
    "10,000 x 10,000": (png(10000, 10000), r"at most 67108864 pixels \(8192x8192\), got 100000000 pixels"),
    "9,000 x 9,000": (png(9000, 9000), r"got 9000x9000 = 81000000"),
    "32-bit": (encode(Image.new("F", (20, 20)), "TIFF").fp.getvalue(), "has the mode F"),
    "Lab": (encode(Image.new("LAB", (20, 20)), "TIFF").fp.getvalue(), "save it as 8-bit RGB"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with warnings.catch_warnings(record=True) as noted, pytest.raises(ValueError, match=message) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("always", RuntimeWarning)
        open_photograph(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and not noted


@pytest.mark.parametrize("name", ["absent.png", "."])
def test_what_is_no_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="must be a file"):
        open_photograph(tmp_path / name)


@given(st.sampled_from(["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"]), st.data())
@settings(max_examples=100, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_files_open_or_are_refused(kind: str, data: st.DataObject) -> None:
    file = bytearray(encode(noise("RGB", 24, 20), kind, exif=turned(6)).fp.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        file[data.draw(st.integers(0, min(len(file), 300) - 1))] = data.draw(st.integers(0, 255))
    try:
        image = Image.open(io.BytesIO(file[: data.draw(st.integers(1, len(file)))]))
    except (OSError, Image.DecompressionBombError):
        return
    try:
        photograph = as_photograph(image)
    except ValueError as error:
        assert str(error).startswith("the photograph")
    else:
        assert photograph.pixels.mode in ("L", "LA", "RGB", "RGBA", "I;16")
