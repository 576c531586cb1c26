"""Photographs and masks as people keep them, to upright 8-bit ``RGB`` and ``L``."""

import io
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from datamodules.packing.rules import RowError

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF")
MAX_PIXELS = 160_000_000
WHITE = (255, 255, 255, 255)
GREY_TOLERANCE = 24


def read_photograph(path: Path) -> tuple[Image.Image, Image.Image | None]:
    """Read a photograph: upright as its EXIF says, in sRGB, transparency over white.

    Args:
        path: A JPEG, PNG, WebP or TIFF.

    Returns:
        The image, ``RGB``, and its opacity, ``L``, where some of it is transparent.

    Raises:
        RowError: ``missing_file``, ``unreadable``, ``too_large`` or ``unsupported_mode``.
    """
    image = _open(path)
    if image.mode in ("CMYK", "LAB", "HSV", "YCbCr", "F", "I", "I;16B"):
        raise RowError("unsupported_mode", image.mode, path)
    if image.mode == "I;16":
        image = _to_8_bit(image)
    opacity = None
    if image.has_transparency_data:
        image = image.convert("RGBA")
        opacity = _opacity(image)
        image = Image.alpha_composite(Image.new("RGBA", image.size, WHITE), image)
    return _to_srgb(image.convert("RGB"), image.info.get("icc_profile")), opacity


def read_mask(path: Path, labels: tuple[int, ...] = ()) -> Image.Image:
    """Read a mask, upright as its EXIF says.

    Args:
        path: A grey image: white is the ornament, black the rest. Colour files count as grey where their channels
            agree, and 16 bits are scaled to 8. A JPEG is cut at the middle, since its compression rings.
        labels: Where given, the file is a label map (a palette or grey PNG), and these indices are the ornament.

    Returns:
        The mask, ``L``.

    Raises:
        RowError: ``missing_file``, ``unreadable``, ``too_large``, ``coloured_mask``, ``transparent_mask`` or
            ``unsupported_mode``.
    """
    mask = _open(path)
    if labels:
        if mask.mode not in ("P", "L"):
            raise RowError("unsupported_mode", f"a label map must have a palette or be grey, got {mask.mode}", path)
        return Image.fromarray((np.isin(np.asarray(mask), labels) * 255).astype(np.uint8))
    lossy = mask.format in ("JPEG", "MPO", "WEBP")
    if mask.has_transparency_data and _opacity(mask.convert("RGBA")) is not None:
        raise RowError("transparent_mask", f"mode {mask.mode} with transparent pixels", path)
    if mask.mode == "I;16":
        mask = _to_8_bit(mask)
    elif mask.mode not in ("1", "L", "LA"):
        mask = _grey_of_colours(mask, path)
    mask = mask.convert("L")
    return mask.point([0] * 128 + [255] * 128) if lossy else mask


def _open(path: Path) -> Image.Image:
    """Decode a file and turn it upright; format and profile stay with it."""
    if not path.is_file():
        raise RowError("missing_file", "no such file", path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path, formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise RowError("too_large", f"{image.width}x{image.height} pixels", path)
        image.load()
        kind, profile = image.format, image.info.get("icc_profile")
        ImageOps.exif_transpose(image, in_place=True)
    except RowError:
        raise
    except Image.DecompressionBombError as error:
        raise RowError("too_large", str(error), path) from error
    except Exception as error:
        raise RowError("unreadable", _reason(error, path), path) from error
    image.format = kind
    if profile:
        image.info["icc_profile"] = profile
    return image


def _reason(error: Exception, path: Path) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"no {', '.join(FORMATS)} ({path.stat().st_size} bytes)"
    return f"{type(error).__name__}: {error}"


def _opacity(image: Image.Image) -> Image.Image | None:
    """Opacity of an RGBA image; None where all of it is opaque."""
    alpha = image.getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


def _to_8_bit(image: Image.Image) -> Image.Image:
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert from the colours of a profile; a broken profile, or one of another mode, is left aside."""
    if profile is None:
        return image
    with suppress(ImageCms.PyCMSError, OSError, ValueError):
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
        return image if converted is None else converted
    return image


def _grey_of_colours(mask: Image.Image, path: Path) -> Image.Image:
    if mask.mode not in ("P", "PA", "RGB", "RGBA", "RGBX"):
        raise RowError("unsupported_mode", mask.mode, path)
    pixels = np.asarray(mask.convert("RGB")).astype(np.int16)
    spread = int((pixels.max(-1) - pixels.min(-1)).max())
    if spread > GREY_TOLERANCE:
        raise RowError("coloured_mask", f"mode {mask.mode}, channels differ by up to {spread}", path)
    return Image.fromarray(pixels[..., 1].astype(np.uint8))
