"""Raw samples to triplets: the schema of shards (see ``schema``) ends here.

Images are decoded by Pillow, each in the one format that its name says, and the metadata by json. webdataset's own
decoders are never used: they unpickle. Latents are decoded where they were read.
"""

import io
import json
from collections.abc import Mapping
from itertools import count, takewhile
from typing import Any, NamedTuple

from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.correspondence_png import CorrespondenceSizeError, decode_correspondence
from datamodules.samples.schema import BARE, CORRESPONDENCE, ENTRIES, IMAGES, LATENTS, MASKS
from datamodules.storage.sample_errors import Reason, SampleError
from ornament_lit.imaging.geometry import (
    Box,
    OrientedBox,
    bounding_box,
    clip_bounding_box,
    mask_to_box,
    oriented,
    read_box,
)
from ornament_lit.utils.categories import CATEGORIES

FORMATS = {"jpg": "JPEG", "png": "PNG"}
GREY_MODES = ("1", "L")
MAX_PIXELS = 8192 * 8192


class Description(NamedTuple):
    """What the metadata say.

    Attributes:
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES`.
        box: Where the ornament is worn, in pixels of the person image; the upright box around an oriented one.
        components: Number of its parts, such as beads; -1 where the metadata do not say it.
        oriented_box: The box with its angle; None where the metadata say none.
    """

    category: str
    box: Box
    components: int = -1
    oriented_box: OrientedBox | None = None


class Triplet(NamedTuple):
    """A decoded sample.

    Attributes:
        ornament: The ornament alone, ``RGB``.
        ornament_mask: Where it is in ``ornament``, ``L``.
        person: The person wearing it, ``RGB``.
        wearing_mask: Its visible part in ``person``, ``L``.
        box: Box of the worn ornament, inside ``person``.
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES`.
        key: Unique name.
        components: Number of parts of the ornament; -1 where it is not known.
        latents: The latents of each copy, as they were read; none where there are none or they are not wanted.
        correspondence: Which point of ``ornament`` each pixel of ``person`` shows; None where it is not known.
        bare: The person without the ornament, ``RGB``; None where there is no such image or it is not wanted.
        oriented_box: The box with its angle, of which ``box`` is around what lies in ``person``; None where no angle is
            known.
    """

    ornament: Image.Image
    ornament_mask: Image.Image
    person: Image.Image
    wearing_mask: Image.Image
    box: Box
    category: str
    key: str
    components: int = -1
    latents: tuple[bytes, ...] = ()
    correspondence: PixelCorrespondence | None = None
    bare: Image.Image | None = None
    oriented_box: OrientedBox | None = None


def describe(sample: Mapping[str, Any]) -> Description:
    """Check that a raw sample is complete and read its metadata; no image is decoded.

    Raises:
        SampleError: ``missing_entry`` or ``bad_metadata``.
    """
    absent = [entry for entry in ENTRIES if entry not in sample]
    if absent:
        raise _error(sample, "missing_entry", f"no entry {', '.join(absent)}")
    try:
        metadata = json.loads(sample["json"])
        box, components = read_box(metadata["box"]), _components(metadata.get("components"))
        return Description(_category(metadata["type"]), bounding_box(box), components, oriented(box))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise _error(sample, "bad_metadata", f"json: {type(error).__name__}: {error}") from error


def decode(sample: Mapping[str, Any], description: Description) -> Triplet:
    """Decode the images of a raw sample, with those of ``OPTIONAL`` that it has; latents are left as they are.

    Raises:
        SampleError: ``undecodable``, ``size_mismatch``, ``empty_mask``, or ``bad_metadata`` where the box lies
            outside the person image.
    """
    ornament, person = (_image(sample, entry).convert("RGB") for entry in IMAGES)
    ornament_mask = _mask(sample, MASKS[0], ornament.size)
    wearing_mask = _mask(sample, MASKS[1], person.size)
    try:
        box = clip_bounding_box(description.oriented_box or description.box, *person.size)
    except ValueError as error:
        raise _error(sample, "bad_metadata", str(error)) from error
    named = (description.category, sample["__key__"], description.components)
    optional = _latents(sample), _correspondence(sample, person.size), _bare(sample, person.size)
    return Triplet(ornament, ornament_mask, person, wearing_mask, box, *named, *optional, description.oriented_box)


def _latents(sample: Mapping[str, Any]) -> tuple[bytes, ...]:
    """The latents of copy 0, 1 and so on, up to the first that is absent."""
    return tuple(sample[name] for name in takewhile(sample.__contains__, map(LATENTS.format, count())))


def _correspondence(sample: Mapping[str, Any], size: tuple[int, int]) -> PixelCorrespondence | None:
    if CORRESPONDENCE not in sample:
        return None
    try:
        return decode_correspondence(sample[CORRESPONDENCE], size)
    except CorrespondenceSizeError as error:
        raise _error(sample, "size_mismatch", f"{CORRESPONDENCE} {error}") from error
    except Exception as error:
        raise _error(sample, "undecodable", f"{CORRESPONDENCE}: {type(error).__name__}: {error}") from error


def _bare(sample: Mapping[str, Any], size: tuple[int, int]) -> Image.Image | None:
    if BARE not in sample:
        return None
    bare = _image(sample, BARE).convert("RGB")
    if bare.size != size:
        raise _error(sample, "size_mismatch", f"{BARE} has {bare.size} pixels, the person's image {size}")
    return bare


def _error(sample: Mapping[str, Any], reason: Reason, detail: str) -> SampleError:
    return SampleError(f"{sample['__url__']}: {sample['__key__']}: {detail}", reason)


def _category(name: object) -> str:
    if not isinstance(name, str) or name not in CATEGORIES:
        raise ValueError(f"type must be one of {', '.join(CATEGORIES)}, got {name!r}")
    return name


def _components(counts: object) -> int:
    """A number of parts, or numbers by their kind; strands are made of other parts and do not count."""
    if isinstance(counts, Mapping):
        counts = sum(int(count) for kind, count in counts.items() if kind != "strands")
    if counts is None:
        return -1
    if not isinstance(counts, int) or counts < 0:
        raise ValueError(f"components must be a number of parts, or numbers by kind of part, got {counts!r}")
    return counts


def _image(sample: Mapping[str, Any], entry: str) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(sample[entry]), formats=(FORMATS[entry[-3:]],))
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"{image.width}x{image.height} pixels are more than {MAX_PIXELS}; pack smaller images")
        image.load()
    except Exception as error:
        raise _error(sample, "undecodable", f"{entry}: {type(error).__name__}: {error}") from error
    return image


def _mask(sample: Mapping[str, Any], entry: str, size: tuple[int, int]) -> Image.Image:
    mask = _image(sample, entry)
    if mask.mode not in GREY_MODES:
        raise _error(sample, "undecodable", f"{entry}: a mask must be 8-bit or 1-bit grey, got mode {mask.mode}")
    if mask.size != size:
        raise _error(sample, "size_mismatch", f"{entry} has {mask.size} pixels, its image {size}")
    mask = mask.convert("L")
    if mask_to_box(mask) is None:
        raise _error(sample, "empty_mask", f"{entry} has no pixel above 127")
    return mask
