"""Photographs of users: opened with care, and kept so that a pixel which nobody touches keeps its value.

What a photograph may be: a file in one of :data:`FORMATS` (the content decides, not the name), at least
:data:`MIN_SIDE` pixels wide and high, and of at most :data:`MAX_PIXELS` pixels, which is asked of the header before
anything is decoded. Of several frames or pages the first one is the photograph.

It is kept in the mode that holds its colours without loss:

================================  =======  =======================================================================
in the file                       kept as
================================  =======  =======================================================================
8-bit grey, black and white       L        what is drawn becomes grey, too
8-bit RGB                         RGB      of 16 bits a channel Pillow reads the upper 8 (with a warning)
palette                           RGB      the same colours
YCbCr, CMYK                       RGB      by Pillow's plain formula; CMYK loses its profile (with a warning)
any of these with transparency    LA, RGBA the same alpha and colours below it; the model sees those colours
16-bit grey                       I;16     all 16 bits; the model sees the nearest 8-bit value
================================  =======  =======================================================================

Other modes (32-bit, Lab) are refused. The EXIF orientation is applied, so that boxes count pixels as a viewer shows
them. A colour profile is carried along; all other metadata (place, camera, preview) is left behind.
"""

import re
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from torch import Tensor

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
MIN_SIDE = 16
MAX_PIXELS = 8192 * 8192
KEPT_MODES = {
    **{"1": "L", "L": "L", "LA": "LA", "I;16": "I;16", "I;16B": "I;16"},
    **{"P": "RGB", "RGB": "RGB", "YCbCr": "RGB", "CMYK": "RGB", "PA": "RGBA", "RGBA": "RGBA"},
}
WITH_ALPHA = {"L": "LA", "RGB": "RGBA"}
STEPS_OF_16_BITS = 257
RAW_MODES_OF_16_BITS = ("LA;16", "RGB;16", "RGBA;16", "RGBX;16")

# Per EXIF orientation what makes it upright, and what undoes that.
_TURNS = {
    2: (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_LEFT_RIGHT),
    3: (Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_180),
    4: (Image.Transpose.FLIP_TOP_BOTTOM, Image.Transpose.FLIP_TOP_BOTTOM),
    5: (Image.Transpose.TRANSPOSE, Image.Transpose.TRANSPOSE),
    6: (Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_90),
    7: (Image.Transpose.TRANSVERSE, Image.Transpose.TRANSVERSE),
    8: (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270),
}

BANDS = (1, 2, 3, 4)

T = TypeVar("T")


class Photograph(NamedTuple):
    """A photograph in memory.

    Attributes:
        pixels: Upright, in mode ``L``, ``LA``, ``RGB``, ``RGBA`` or ``I;16``; its ``info`` has the ``icc_profile``, if
            there is one, and nothing else.
        orientation: EXIF orientation of the file, 1 to 8.
    """

    pixels: Image.Image
    orientation: int = 1

    def as_stored(self, image: Image.Image) -> Image.Image:
        """Turn an upright image as the pixels lie in the photograph's file (a TIFF counts as upright)."""
        return image.transpose(_TURNS[self.orientation][1]) if self.orientation in _TURNS else image


def open_photograph(path: str | Path, name: str | None = None) -> Photograph:
    """Open a photograph by the rules at the head of this file.

    Args:
        path: A file.
        name: What errors and warnings call it; None for its path.

    Returns:
        The photograph; the file is closed.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, no image, damaged, too small, too large, or of a mode that is refused.
    """
    path, called = Path(path), name or str(path)
    if not path.is_file():
        raise FileNotFoundError(f"a photograph must be a file, got {called!r}; check the path")
    if path.stat().st_size == 0:
        raise ValueError(f"{called} is empty (0 bytes); copy the photograph again")
    with _reading(called, lambda: Image.open(path, formats=FORMATS)) as image:
        return as_photograph(image, called)


def as_photograph(image: Image.Image, name: str = "the photograph") -> Photograph:
    """Take an image of Pillow as a photograph, by the rules at the head of this file.

    Args:
        image: Opened, decoded or not; it is not changed.
        name: What errors call it.

    Returns:
        The photograph.

    Raises:
        ValueError: If it is damaged, too small, too large, or of a mode that is refused.
    """
    _check_size(name, *image.size)
    if image.mode not in KEPT_MODES:
        known = ", ".join(KEPT_MODES)
        raise ValueError(f"{name} has the mode {image.mode}, known are {known}; save it as 8-bit RGB")
    _warn_of_loss(image, name)
    _reading(name, image.load)
    orientation = _orientation(image)
    kept = KEPT_MODES[image.mode]
    pixels = image.convert(WITH_ALPHA.get(kept, kept) if image.has_transparency_data else kept)
    if orientation in _TURNS:
        pixels = pixels.transpose(_TURNS[orientation][0])
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    pixels.info = {"icc_profile": profile} if profile else {}
    return Photograph(pixels, orientation)


def image_of_pixels(pixels: NDArray[Any] | Tensor, name: str = "the photograph") -> Image.Image:
    """Make an image of Pillow of an array or a tensor.

    Args:
        pixels: An array (H, W) or (H, W, bands) or a tensor (H, W) or (bands, H, W) with 1 (grey), 2, 3 (RGB) or 4
            bands, the second or fourth being the alpha; uint8, bool, or floats in [0, 1], which are rounded to 8 bits.
        name: What errors call it.

    Raises:
        ValueError: If it has another shape, type or range.
    """
    if isinstance(pixels, Tensor):
        tensor = pixels.detach().cpu()
        tensor = tensor.float() if tensor.is_floating_point() else tensor
        values = (tensor.movedim(0, -1) if tensor.ndim == 3 else tensor).numpy()
    else:
        values = pixels
    values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
    if values.dtype == np.bool_:
        values = values.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(values.dtype, np.floating) and values.size and 0 <= values.min() and values.max() <= 1:
        values = np.rint(values * 255.0).astype(np.uint8)
    bands = values.shape[2] if values.ndim == 3 else 1
    if values.dtype != np.uint8 or values.ndim not in (2, 3) or bands not in BANDS or not values.size:
        raise ValueError(
            f"{name} must be an array (H, W, 1 to 4) or a tensor (1 to 4, H, W) of uint8 or of floats in [0, 1], got "
            f"{tuple(pixels.shape)} of {pixels.dtype}; bring it into that range"
        )
    return Image.fromarray(np.ascontiguousarray(values))


def as_rgb(pixels: Image.Image) -> Image.Image:
    """What the model sees of a photograph, or of a part of it: mode ``RGB``, without alpha."""
    if pixels.mode != "I;16":
        return pixels.convert("RGB")
    values = np.asarray(pixels).astype(np.uint32) + STEPS_OF_16_BITS // 2
    return Image.fromarray((values // STEPS_OF_16_BITS).astype(np.uint8)).convert("RGB")


def _check_size(name: str, width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE:
        raise ValueError(
            f"{name} must be at least {MIN_SIDE} pixels wide and high, got {width}x{height}; take a larger photograph"
        )
    if width * height > MAX_PIXELS:
        raise ValueError(_too_large(name, f"{width}x{height} = {width * height}"))


def _too_large(name: str, size: str) -> str:
    return f"{name} must have at most {MAX_PIXELS} pixels (8192x8192), got {size}; scale it down"


def _reading(name: str, read: Callable[[], T]) -> T:
    """Run a step of Pillow's readers, which fail in many ways on damaged files."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return read()
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+ pixels", str(error))
        raise ValueError(_too_large(name, pixels[0] if pixels else "more")) from error
    except UnidentifiedImageError as error:
        raise ValueError(f"{name} must be an image of the formats {', '.join(FORMATS)}; convert it") from error
    except Exception as error:
        raise ValueError(f"{name} cannot be read: {error or type(error).__name__}; save it again as PNG") from error


def _warn_of_loss(image: Image.Image, name: str) -> None:
    if image.mode == "CMYK":
        warnings.warn(f"{name} is CMYK: its colours are turned to RGB without a profile", stacklevel=3)
    elif any(_raw_mode(tile).startswith(RAW_MODES_OF_16_BITS) for tile in getattr(image, "tile", ())):
        warnings.warn(f"{name} has 16 bits a channel: the upper 8 of them are read", stacklevel=3)


def _raw_mode(tile: tuple[Any, ...]) -> str:
    """What Pillow unpacks a part of an image file from: colour channels and their bits."""
    arguments = tile[3]
    return str(arguments[0] if isinstance(arguments, tuple) else arguments)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation of a loaded image; 1 where it is absent or the EXIF data are damaged."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except (SyntaxError, ValueError, OSError, struct.error):
        return 1
    return orientation if orientation in _TURNS else 1
