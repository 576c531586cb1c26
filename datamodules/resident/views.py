"""How a batch shows its triplets, in numbers: what worker processes find out, without making an image.

The numbers are those of :class:`datamodules.samples.transforms.TripletTransform` for the same seeds.

Shape legend: B samples of a batch, P of them with a region, R resolution.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.samples.decoding import Triplet
from datamodules.samples.input_masks import InputMask, draw_input_mask
from datamodules.samples.photographs import Camera, draw_cameras
from datamodules.samples.transforms import TripletTransform, grown_box
from datamodules.samples.turning import turn_mask
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.crops import mask_to_tensor
from ornament_lit.imaging.geometry import Box, Crop, draw_box, mask_to_box, square_crop

Tones = tuple[float, float, float, float]
DRAWN_BY_WORKERS = ("oriented_box", "convex_hull")
"""Input masks that a device cannot draw."""


class Frame(NamedTuple):
    """A crop of a turned image.

    Attributes:
        angle: Degrees.
        turned: Width and height of the turned image.
        crop: The crop in it.
    """

    angle: float
    turned: tuple[int, int]
    crop: Crop


class View(NamedTuple):
    """How a sample shows its triplet.

    Attributes:
        row: Number of the triplet.
        key: Its name.
        category: One of :data:`ornament_lit.utils.categories.CATEGORIES`.
        components: Number of its parts; -1 where it is not known.
        seed: The ``sample_seed``.
        person: The person's crop.
        box: The coarse box in the turned image.
        reference: The ornament's crop.
        flip: Whether all images are mirrored.
        change: The ornament's other colours, (3, 3); None where they stay.
        input_mask: What is masked out and given to the model.
        region: That, (1, R, R), where it is one of :data:`DRAWN_BY_WORKERS`.
        bare: Whether the model is shown the bare person, if there is one.
        cameras: Tones of the person's and of the ornament's image: factors of red, green and blue, and an exponent.
    """

    row: int
    key: str
    category: str
    components: int
    seed: int
    person: Frame
    box: Box
    reference: Frame
    flip: bool
    change: Tensor | None
    input_mask: InputMask
    region: Tensor | None
    bare: bool
    cameras: tuple[Tones, Tones]


class Frames(NamedTuple):
    """Frames of a batch: angles (B,), turned (B, 2), crops (B, 3) of left, top and size; all float64."""

    angle: Tensor
    turned: Tensor
    crop: Tensor


class Views(NamedTuple):
    """The views of a batch.

    Attributes:
        rows: (B,) int64.
        keys: Names.
        categories: Types.
        components: (B,) int64.
        seeds: (B,) int64.
        person: The persons' crops.
        box: (B, 4) float64.
        reference: The ornaments' crops.
        flip: (B,) bool.
        change: (B, 3, 3); the identity where colours stay.
        wearing: (B,) bool, whose input mask is the wearing mask.
        region_rows: (P,) int64, which samples have a region.
        regions: (P, 1, R, R) uint8 of 0 and 1.
        bare: (B,) bool, which samples show the bare person, if there is one.
        person_tones: Factors of red, green and blue, and an exponent, (B, 4); ones where tones stay.
        ornament_tones: The same for the ornaments' images.
    """

    rows: Tensor
    keys: list[str]
    categories: list[str]
    components: Tensor
    seeds: Tensor
    person: Frames
    box: Tensor
    reference: Frames
    flip: Tensor
    change: Tensor
    wearing: Tensor
    region_rows: Tensor
    regions: Tensor
    bare: Tensor
    person_tones: Tensor
    ornament_tones: Tensor


def view_of(transform: TripletTransform, triplet: Triplet, row: int, seed: int) -> View:
    """How a transform would show a triplet.

    Args:
        transform: Its images are not made.
        triplet: The triplet.
        row: Its number.
        seed: Its ``sample_seed``.

    Raises:
        SampleError: ``empty_mask``, if nothing is left of a thin mask once it is turned.
    """
    choices = transform.choices(seed)
    mask, tight, angle = triplet.wearing_mask, triplet.box, choices.angle
    if transform.rotation:
        mask = turn_mask(mask, angle)
        found = mask_to_box(mask)
        if found is None:
            raise SampleError(f"{triplet.key}: nothing is left of the wearing mask after a turn", "empty_mask")
        tight = found
    box = grown_box(tight, choices.growth, mask.size)
    crop, reference = square_crop(box, transform.crop_factor), transform.reference(triplet, seed)
    drawn = draw_cameras(seed, transform.photographic_changes) if choices.photographic else (Camera(), Camera())
    cameras = _tones(drawn[0]), _tones(drawn[1])
    region = None
    if choices.input_mask in DRAWN_BY_WORKERS:
        images = mask_to_tensor(mask, crop, transform.resolution), draw_box(box, crop, transform.resolution)
        worn, box_mask = (image.flip(-1) if choices.flip else image for image in images)
        region = draw_input_mask(choices.input_mask, worn, box_mask)
    return View(
        row=row,
        key=triplet.key,
        category=triplet.category,
        components=triplet.components,
        seed=seed,
        person=Frame(angle, mask.size, crop),
        box=box,
        reference=Frame(reference.angle, reference.image.size, reference.crop),
        flip=choices.flip,
        change=choices.change,
        input_mask=choices.input_mask,
        region=region,
        bare=choices.bare,
        cameras=cameras,
    )


def collate_views(views: Sequence[View | None]) -> Views | None:
    """Batch the views of the samples that could be used; None where there are none."""
    usable = [view for view in views if view is not None]
    if not usable:
        return None
    regions = [view.region.byte() for view in usable if view.region is not None]
    return Views(
        rows=torch.tensor([view.row for view in usable]),
        keys=[view.key for view in usable],
        categories=[view.category for view in usable],
        components=torch.tensor([view.components for view in usable]),
        seeds=torch.tensor([view.seed for view in usable]),
        person=_frames([view.person for view in usable]),
        box=_numbers([view.box for view in usable]),
        reference=_frames([view.reference for view in usable]),
        flip=torch.tensor([view.flip for view in usable]),
        change=torch.stack([torch.eye(3) if view.change is None else view.change for view in usable]),
        wearing=torch.tensor([view.input_mask == "wearing_mask" for view in usable]),
        region_rows=torch.tensor([row for row, view in enumerate(usable) if view.region is not None]).long(),
        regions=torch.stack(regions) if regions else torch.zeros(0, 1, 1, 1, dtype=torch.uint8),
        bare=torch.tensor([view.bare for view in usable]),
        person_tones=_numbers([view.cameras[0] for view in usable]).float(),
        ornament_tones=_numbers([view.cameras[1] for view in usable]).float(),
    )


def _tones(camera: Camera) -> Tones:
    return *camera.gains, camera.exponent


def _frames(frames: Sequence[Frame]) -> Frames:
    return Frames(
        angle=torch.tensor([frame.angle for frame in frames], dtype=torch.float64),
        turned=_numbers([frame.turned for frame in frames]),
        crop=_numbers([frame.crop for frame in frames]),
    )


def _numbers(rows: Sequence[Sequence[float]]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)
