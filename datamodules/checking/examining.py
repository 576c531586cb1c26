"""One shard: read to its end by the readers that training uses, every sample decoded and measured."""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from datamodules.checking.correspondences import strange_in
from datamodules.checking.findings import Finding
from datamodules.packing.checks import MAX_BORDER, area_share, border_share, longer_side, reach_outside
from datamodules.samples.decoding import Triplet, decode, describe
from datamodules.shards.index import ShardEntry, scan_shard
from datamodules.shards.reading import RawSample, is_image, read_sample
from datamodules.shards.sample_index import Place
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import extent_along, mask_outline, mask_to_box

TOLERANCE = 1.0


class Measured(NamedTuple):
    """A good sample in numbers.

    Attributes:
        shard: File name.
        key: Unique name.
        category: Type.
        ornament_area: Share of the ornament's image that its mask covers.
        wearing_area: Share of the person's image that the wearing mask covers.
        box_side: Longer side of the box in pixels.
        box_share: Longer side of the box over the longer side of the person's image.
        ornament: Digest of the ornament's file.
        person: Digest of the person's file.
        corresponds: Whether it has a correspondence.
    """

    shard: str
    key: str
    category: str
    ornament_area: float
    wearing_area: float
    box_side: float
    box_share: float
    ornament: str
    person: str
    corresponds: bool = False

    @property
    def split(self) -> str:
        """The shard's name without its number: ``train`` for ``train-000012.tar``."""
        return split_of(self.shard)


@dataclass(frozen=True)
class Examined:
    """What was seen in a shard.

    Attributes:
        entry: Its entry for the index.
        samples: The good samples.
        findings: What is wrong with the others.
    """

    entry: ShardEntry
    samples: tuple[Measured, ...]
    findings: tuple[Finding, ...]


def split_of(shard: str) -> str:
    """The name of a shard without its number."""
    return re.sub(r"[-_.]?\d*(\.tar)?$", "", shard) or shard


def examine_shard(path: Path) -> Examined:
    """Read a shard to its end, and each sample at its place, and decode it."""
    sample_errors: list[SampleError] = []
    entry = scan_shard(path, sample_errors.append, checksum=True)
    samples: list[Measured] = []
    looks: list[Finding] = []
    for raw in _read(path, entry, sample_errors.append):
        try:
            triplet = decode(raw, describe(raw))
        except SampleError as error:
            sample_errors.append(error)
            continue
        samples.append(_measure(path.name, raw, triplet))
        looks += _look(path.name, triplet)
    if not samples and not sample_errors:
        looks.append(Finding(path.name, "", "empty_shard", "no sample"))
    return Examined(entry, tuple(samples), (*(_finding(path, error) for error in sample_errors), *looks))


def _read(path: Path, entry: ShardEntry, report: Callable[[SampleError], None]) -> Iterator[RawSample]:
    if not entry.samples:
        return
    with open(path, "rb") as file:
        for row in entry.samples:
            try:
                yield read_sample(file, Place(str(path), entry, row), is_image)
            except SampleError as error:
                report(error)


def _finding(path: Path, error: SampleError) -> Finding:
    detail = str(error).removeprefix(f"{path}: ")
    key, colon, value = detail.partition(": ")
    if error.reason == "unreadable_shard" or not colon:
        return Finding(path.name, "", error.reason, detail)
    return Finding(path.name, key, error.reason, value)


def _measure(shard: str, raw: RawSample, triplet: Triplet) -> Measured:
    side = longer_side(triplet.box)
    return Measured(
        shard,
        triplet.key,
        triplet.category,
        area_share(triplet.ornament_mask),
        area_share(triplet.wearing_mask),
        side,
        side / max(triplet.person.size),
        hashlib.sha256(raw["ornament.jpg"]).hexdigest(),
        hashlib.sha256(raw["person.jpg"]).hexdigest(),
        triplet.correspondence is not None,
    )


def _look(shard: str, triplet: Triplet) -> list[Finding]:
    """What training would not complain about, and which is wrong all the same."""
    findings = []
    for name, mask in (("ornament_mask.png", triplet.ornament_mask), ("wearing_mask.png", triplet.wearing_mask)):
        share = border_share(mask)
        if share > MAX_BORDER:
            value = f"{name}: {share:.0%} of its border is white"
            findings.append(Finding(shard, triplet.key, "inverted_mask", value))
    findings += [Finding(shard, triplet.key, "correspondence", value) for value in strange_in(triplet)]
    return findings + _look_at_box(shard, triplet)


def _look_at_box(shard: str, triplet: Triplet) -> list[Finding]:
    around = mask_to_box(triplet.wearing_mask)
    outside = {} if around is None else {"box": reach_outside(around, triplet.box)}
    if around is not None and triplet.oriented_box is not None:
        along = extent_along(mask_outline(triplet.wearing_mask), triplet.oriented_box)
        outside["turned box"] = reach_outside(along, triplet.oriented_box[:4])
    return [
        Finding(shard, triplet.key, "box_without_mask", f"the mask reaches {pixels:.1f} pixels out of the {name}")
        for name, pixels in outside.items()
        if pixels > TOLERANCE
    ]
