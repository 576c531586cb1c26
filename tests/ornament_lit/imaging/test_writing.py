import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ornament_lit.imaging.reading import open_photograph
from ornament_lit.imaging.writing import check_output, encode_jpeg, save_image


def ramp(mode: str) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.arange(20 * 24, dtype=np.uint16).reshape(20, 24) * 99)
    bands = len(Image.new(mode, (1, 1)).getbands())
    return Image.frombytes(mode, (24, 20), (np.arange(20 * 24 * bands) % 251).astype(np.uint8).tobytes())


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_a_png_holds_the_very_pixels_and_says_how_it_was_made(mode: str, tmp_path: Path) -> None:
    picture, path = ramp(mode), tmp_path / "out.PNG"
    picture.info["icc_profile"] = b"profile"
    metadata = {"checkpoint": "sha256:12ab", "seed": "7", "options": "Stufen 30, Größe ✓"}
    save_image(picture, path, metadata)
    with Image.open(path) as read:
        assert read.mode == mode and read.tobytes() == picture.tobytes() and read.text == metadata
        assert read.info["icc_profile"] == b"profile"
    assert [file.name for file in tmp_path.iterdir()] == ["out.PNG"]
    again = open_photograph(path).pixels
    assert again.tobytes() == picture.tobytes() and again.info == picture.info


def test_a_jpeg_has_the_metadata_as_a_comment(tmp_path: Path) -> None:
    path = tmp_path / "out.jpeg"
    save_image(ramp("RGB").resize((96, 80)), path, {"seed": "7"})
    with Image.open(path) as read:
        assert read.format == "JPEG" and json.loads(read.info["comment"]) == {"seed": "7"}
        assert "icc_profile" not in read.info


@pytest.mark.parametrize(
    ("name", "mode", "message"),
    [
        ("out.gif", "RGB", "written as .png, .jpg, .jpeg"),
        ("out", "RGB", "suffix"),
        ("out.jpg", "RGBA", "write out.png"),
        ("out.jpg", "I;16", "cannot hold an image of mode I;16"),
        ("absent/out.png", "RGB", "does not exist"),
    ],
)
def test_what_cannot_be_written_is_refused_beforehand(name: str, mode: str, message: str, tmp_path: Path) -> None:
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        check_output(tmp_path / name, mode)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        save_image(ramp(mode), tmp_path / name, {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keyword", ["", "long" * 20, "Größe"])
def test_a_keyword_that_png_cannot_hold_is_refused(keyword: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 79 ASCII"):
        save_image(ramp("RGB"), tmp_path / "out.png", {keyword: "text"})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(image: Image.Image, path: Path, *arguments: object, **options: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(OSError, match="no space left"):
        save_image(ramp("RGB"), path, {})
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_an_encoded_jpeg_keeps_the_colour_of_each_pixel() -> None:
    reds = np.zeros((16, 16, 3), np.uint8)
    reds[:, ::2, 0] = 200  # subsampled, the columns share one colour
    with Image.open(BytesIO(encode_jpeg(Image.fromarray(reds), 95))) as read:
        assert read.format == "JPEG" and np.abs(np.asarray(read).astype(int) - reds).max() < 20
