import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from datamodules.packing.images import read_mask, read_photograph
from datamodules.packing.rules import RowError


def save(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)
    return path


def rule_of(path: Path, mask: bool = False) -> str:
    with pytest.raises(RowError) as caught:
        (read_mask if mask else read_photograph)(path)
    assert caught.value.file == str(path)
    return caught.value.rule


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), "blue")
    image.putpixel((0, 3), (255, 0, 0))
    exif = Image.Exif()
    exif[0x112] = 6  # turn it a quarter clockwise: the lower left corner comes to the upper left
    photograph, opacity = read_photograph(save(image, tmp_path / "a.png", exif=exif))
    assert photograph.size == (4, 8) and opacity is None
    assert photograph.getpixel((0, 0)) == (255, 0, 0) and photograph.getpixel((3, 7)) == (0, 0, 255)


def test_a_mask_is_turned_upright_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 8
    assert read_mask(save(Image.new("L", (8, 4), 255), tmp_path / "a.png", exif=exif)).size == (4, 8)


def test_transparency_is_laid_over_white_and_handed_out(tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 0))
    image.putpixel((1, 1), (200, 0, 0, 255))
    photograph, opacity = read_photograph(save(image, tmp_path / "a.png"))
    assert photograph.getpixel((0, 0)) == (255, 255, 255) and photograph.getpixel((1, 1)) == (200, 0, 0)
    assert opacity is not None and opacity.getbbox() == (1, 1, 2, 2)


def test_palette_and_16_bit_photographs(tmp_path: Path) -> None:
    palette = Image.new("RGB", (4, 4), (0, 128, 255)).quantize(4)
    assert read_photograph(save(palette, tmp_path / "p.png"))[0].getpixel((0, 0)) == (0, 128, 255)
    deep = Image.fromarray(np.full((4, 4), 0x80FF, np.uint16))
    assert read_photograph(save(deep, tmp_path / "d.png"))[0].getpixel((0, 0)) == (128, 128, 128)


def test_colours_of_a_profile_become_srgb(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"?").replace(b"bXYZ", b"rXYZ").replace(b"?", b"bXYZ")  # its red is sRGB's blue
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()  # not of this image: left aside
    image = Image.new("RGB", (4, 4), (10, 200, 90))
    for profile, colour in ((srgb, (10, 200, 90)), (swapped, (90, 200, 10)), (lab, (10, 200, 90))):
        photograph, _ = read_photograph(save(image, tmp_path / "a.png", icc_profile=profile))
        assert photograph.getpixel((0, 0)) == pytest.approx(colour, abs=2)


def bomb(path: Path, width: int, height: int) -> Path:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1 << 16))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)
    return path


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").write_bytes(b"")
    save(Image.effect_noise((64, 64), 50), tmp_path / "whole.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "whole.jpg").read_bytes()[:-400])
    assert rule_of(tmp_path / "nowhere.jpg") == "missing_file"
    assert rule_of(tmp_path) == "missing_file"
    assert rule_of(tmp_path / "empty.jpg") == "unreadable"
    assert rule_of(tmp_path / "cut.jpg") == "unreadable"
    assert rule_of(save(Image.new("RGB", (4, 4)), tmp_path / "a.bmp")) == "unreadable"
    assert rule_of(bomb(tmp_path / "bomb.png", 13000, 13000)) == "too_large"
    assert rule_of(bomb(tmp_path / "huge.png", 60000, 60000), mask=True) == "too_large"
    assert rule_of(save(Image.new("CMYK", (4, 4)), tmp_path / "print.jpg")) == "unsupported_mode"


def test_masks_as_people_save_them(tmp_path: Path) -> None:
    grey = Image.new("L", (8, 8))
    grey.paste(255, (2, 3, 5, 6))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    pictures = {
        "l.png": grey,
        "bits.png": grey.convert("1"),
        "rgb.png": grey.convert("RGB"),
        "rgba.png": grey.convert("RGBA"),
        "la.png": grey.convert("LA"),
        "palette.png": grey.convert("P"),
        "deep.png": deep,
        "lossy.jpg": grey.resize((32, 32), Image.Resampling.NEAREST),
    }
    for name, picture in pictures.items():
        mask = read_mask(save(picture, tmp_path / name))
        scale = mask.width // 8
        assert mask.mode == "L" and mask.getbbox() == (2 * scale, 3 * scale, 5 * scale, 6 * scale), name


def test_masks_that_may_mean_anything_are_refused(tmp_path: Path) -> None:
    assert rule_of(save(Image.new("RGB", (4, 4), "red"), tmp_path / "red.png"), mask=True) == "coloured_mask"
    indices = Image.new("P", (4, 4), 1)
    indices.putpalette([0, 0, 0, 128, 0, 0])
    assert rule_of(save(indices, tmp_path / "voc.png"), mask=True) == "coloured_mask"
    cut_out = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    assert rule_of(save(cut_out, tmp_path / "cut.png"), mask=True) == "transparent_mask"


def test_chosen_labels_of_a_label_map(tmp_path: Path) -> None:
    indices = Image.new("P", (4, 4))
    indices.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 7, 7, 7])
    for place, label in (((0, 0), 1), ((1, 0), 2), ((2, 0), 3)):
        indices.putpixel(place, label)
    mask = read_mask(save(indices, tmp_path / "labels.png"), labels=(2, 3))
    assert [mask.getpixel((x, 0)) for x in range(4)] == [0, 255, 255, 0]
