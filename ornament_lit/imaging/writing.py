"""Images that are written: PNG keeps every pixel and says how it was made; JPEG encodes all of them anew."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ornament_lit.utils.files import atomic_path, check_file

SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
MODES = {"PNG": ("L", "LA", "RGB", "RGBA", "I;16"), "JPEG": ("L", "RGB")}
JPEG_QUALITY = 95
LONGEST_KEYWORD = 79


def check_output(path: str | Path, mode: str = "RGB") -> str:
    """Say before anything is computed whether an image can be written to a path.

    Args:
        path: Where it is to be written.
        mode: Mode of the image: that of :attr:`ornament_lit.imaging.reading.Photograph.pixels`.

    Returns:
        The format, ``PNG`` or ``JPEG``.

    Raises:
        ValueError: If the suffix is neither, or the format cannot hold the mode.
        FileNotFoundError: If the folder does not exist.
        OSError: If the path is a folder's, or its folder takes no file.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"an image is written as {', '.join(SUFFIXES)}, got {str(path)!r}; change the suffix")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"the folder {str(path.parent)!r} of {path.name!r} does not exist; make it first")
    kind = SUFFIXES[path.suffix.lower()]
    if mode not in MODES[kind]:
        raise ValueError(f"{kind} cannot hold an image of mode {mode} (transparency, 16 bits); write {path.stem}.png")
    check_file(path)
    return kind


def save_image(image: Image.Image, path: str | Path, metadata: Mapping[str, str]) -> None:
    """Write an image; its file appears complete or not at all.

    A PNG holds the very pixels. A JPEG is encoded with losses (quality 95, 4:4:4), so that there no pixel is sure to
    be that of the photograph.

    Args:
        image: The image; an ``icc_profile`` in its ``info`` is written, too.
        path: ``.png``, ``.jpg`` or ``.jpeg``.
        metadata: How it was made: text chunks of a PNG by these keywords (1 to 79 ASCII letters), one JSON comment of
            a JPEG.

    Raises:
        ValueError: If the suffix is not known, or the format cannot hold the image or a keyword.
        FileNotFoundError: If the folder does not exist.
        OSError: If it cannot be written.
    """
    kind = check_output(path, image.mode)
    options = _png_options(metadata) if kind == "PNG" else _jpeg_options(metadata)
    with atomic_path(Path(path)) as part:
        image.save(part, kind, icc_profile=image.info.get("icc_profile"), **options)


def encode_png(image: Image.Image) -> bytes:
    """An image as the bytes of a PNG."""
    content = io.BytesIO()
    image.save(content, format="PNG")
    return content.getvalue()


def encode_jpeg(image: Image.Image, quality: int) -> bytes:
    """An image as the bytes of a JPEG with full colour resolution.

    Args:
        image: Grey or RGB.
        quality: 1 to 100.
    """
    content = io.BytesIO()
    image.save(content, format="JPEG", quality=quality, subsampling=0)
    return content.getvalue()


def _png_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    chunks = PngInfo()
    for keyword, text in metadata.items():
        if not 0 < len(keyword) <= LONGEST_KEYWORD or not keyword.isascii():
            raise ValueError(f"a keyword of PNG has 1 to {LONGEST_KEYWORD} ASCII letters, got {keyword!r}; shorten it")
        chunks.add_text(keyword, text)
    return {"pnginfo": chunks}


def _jpeg_options(metadata: Mapping[str, str]) -> dict[str, Any]:
    return {"quality": JPEG_QUALITY, "subsampling": 0, "comment": json.dumps(dict(metadata)).encode()}
