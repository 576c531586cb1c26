"""A row to the entries of a sample: read, check, cut out, encode."""

import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from PIL import Image

from datamodules.packing.checks import check_extent, check_mask, fit_box, fit_oriented_box
from datamodules.packing.crops import crop_around, cut, move_box, move_oriented_box
from datamodules.packing.images import read_mask, read_photograph
from datamodules.packing.rows import Row
from datamodules.packing.rules import Problem, RowError
from ornament_lit.imaging.geometry import AnyBox, Box, OrientedBox, oriented
from ornament_lit.imaging.writing import encode_jpeg, encode_png

ORNAMENT_FACTOR = 1.5


@dataclass(frozen=True)
class Encoding:
    """How images are stored.

    Attributes:
        size: Greatest side in pixels.
        crop_factor: Side of the person's square over the longer side of the box.
        jpeg_quality: Quality of the photographs.
        min_extent: Least longer side of an ornament in its photograph, in pixels.
    """

    size: int = 768
    crop_factor: float = 2.5
    jpeg_quality: int = 95
    min_extent: int = 32

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            ValueError: If a number is out of range.
        """
        bounds = {"size": (16, 8192), "crop_factor": (1.0, 100.0), "jpeg_quality": (1, 100), "min_extent": (1, 8192)}
        for name, (low, high) in bounds.items():
            if not low <= asdict(self)[name] <= high:
                raise ValueError(f"{name} must be between {low} and {high}, got {asdict(self)[name]}")


@dataclass(frozen=True)
class Packed:
    """A row that is ready to be written.

    Attributes:
        key: Its key.
        entries: Bytes by entry, see :mod:`datamodules.samples.decoding`.
    """

    key: str
    entries: dict[str, bytes]


def encode_row(row: Row, encoding: Encoding) -> Packed | Problem:
    """Make the entries of a sample; it depends on nothing but the row, its files and the arguments."""
    try:
        return Packed(row.key, _entries(row, encoding))
    except RowError as error:
        return Problem(row.number, row.key, error.file, error.rule, error.value)


def _entries(row: Row, encoding: Encoding) -> dict[str, bytes]:
    ornament, worn = _read_ornament(row, encoding), _read_worn(row, encoding)
    ornament_stored = _store(ornament, ORNAMENT_FACTOR, encoding)
    worn_stored = _store(worn, encoding.crop_factor, encoding)
    metadata = {
        **row.metadata,
        "ornament_id": row.ornament_id,
        "type": row.category,
        "box": [float(edge) for edge in worn_stored.box],
        "photographs": {"ornament": ornament_stored.source, "person": worn_stored.source},
    }
    return {
        "ornament.jpg": ornament_stored.image,
        "ornament_mask.png": ornament_stored.mask,
        "person.jpg": worn_stored.image,
        "wearing_mask.png": worn_stored.mask,
        "json": json.dumps(metadata, sort_keys=True, ensure_ascii=False).encode(),
    }


class _Checked(NamedTuple):
    image: Image.Image
    mask: Image.Image
    box: Box
    oriented_box: OrientedBox | None = None


class _Stored(NamedTuple):
    image: bytes
    mask: bytes
    box: AnyBox
    source: dict[str, Any]


def _read_ornament(row: Row, encoding: Encoding) -> _Checked:
    ornament, opacity = read_photograph(row.ornament)
    mask = opacity if row.ornament_mask is None else read_mask(row.ornament_mask)
    if mask is None:
        raise RowError("no_mask", "ornament_mask")
    box = check_mask(mask, ornament.size, "ornament", row.ornament_mask or row.ornament)
    check_extent(box, encoding.min_extent, row.ornament)
    return _Checked(ornament, mask, box)


def _read_worn(row: Row, encoding: Encoding) -> _Checked:
    if row.wearing_mask is None:
        raise RowError("no_mask", "wearing_mask")
    person, _ = read_photograph(row.person)
    mask = read_mask(row.wearing_mask, row.labels)
    around = check_mask(mask, person.size, "wearing", row.wearing_mask)
    turned = None
    if row.box is not None and (given := oriented(row.box)) is not None:
        turned, box = fit_oriented_box(given, mask)
    else:
        box = fit_box(row.box and row.box[:4], around, person.size)
    check_extent(box, encoding.min_extent, row.person)
    return _Checked(person, mask, box, turned)


def _store(checked: _Checked, factor: float, encoding: Encoding) -> _Stored:
    """Cut image and mask around a box and encode them; where they were is kept, so that they can be pasted back."""
    image, mask, box, turned = checked
    crop = crop_around(box, factor, image.size, encoding.size)
    stored = cut(mask, crop)
    moved = move_box(box, crop, stored)
    source = {"size": list(image.size), "crop": [float(edge) for edge in crop[:4]]}
    return _Stored(
        encode_jpeg(_without_metadata(cut(image, crop)), encoding.jpeg_quality),
        encode_png(_without_metadata(stored)),
        moved if turned is None else move_oriented_box(turned, crop, stored),
        source,
    )


def _without_metadata(image: Image.Image) -> Image.Image:
    """The same image: no EXIF (place, camera, thumbnail) and no profile goes into a data set."""
    image.info.clear()
    return image
