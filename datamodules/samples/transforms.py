"""Triplets to the entries of a TryOnBatch: coarse box, crop, resize, flip, normalise."""

import random
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from datamodules.samples.colours import change_colours, draw_colour_change
from datamodules.samples.decoding import Triplet
from datamodules.samples.extras import View, bare_person_of, correspondence_of, detail_of, wide_view_of
from datamodules.samples.input_masks import InputMask, choose_input_mask, draw_input_mask
from datamodules.samples.photographs import CHANGES, Change, photographed
from datamodules.samples.references import Reference, draw_reference
from datamodules.samples.schema import BARE, CORRESPONDENCE, ENTRIES
from datamodules.samples.seeding import hash_seed
from datamodules.samples.turning import turn_person
from ornament_lit.batch import BarePerson, Correspondence, EncodedImages, OrnamentDetail, WideView
from ornament_lit.imaging.crops import image_to_tensor, mask_to_tensor
from ornament_lit.imaging.geometry import (
    Box,
    Crop,
    clip_box,
    draw_box,
    draw_oriented_box,
    grow_box,
    grow_oriented_box,
    square_crop,
)

VERSION = 1
"""What a seed draws: raise it when a seed comes to mean another crop or flip, since stored latents do not fit then."""


Fractions = tuple[float, float, float, float]
"""By how much the sides of a box move outwards: left, top, right, bottom, in widths and heights of the box."""


class TryOnSample(TypedDict):
    """One row of a :class:`ornament_lit.batch.TryOnBatch`: tensors without the batch dimension."""

    ornament_image: Tensor
    ornament_mask: Tensor
    person_image: Tensor
    wearing_mask: Tensor
    box_mask: Tensor
    category: str
    key: str
    sample_seed: int
    components: int
    encoded: NotRequired[EncodedImages]
    input_mask: NotRequired[Tensor]
    other_ornament: NotRequired["OtherSample"]
    other_ornaments: NotRequired[list["OtherSample"]]
    photograph: NotRequired[Tensor]
    crop: NotRequired[Tensor]
    box: NotRequired[Tensor]
    correspondence: NotRequired[Correspondence]
    wide_view: NotRequired[WideView]
    ornament_detail: NotRequired[OrnamentDetail]
    bare_person: NotRequired[BarePerson]


class OtherSample(TypedDict):
    """One row of :class:`ornament_lit.batch.OtherOrnament`."""

    ornament_image: Tensor
    ornament_mask: Tensor
    key: str
    ornament_detail: NotRequired[OrnamentDetail]


class Images(NamedTuple):
    """The images of a sample: images (3, H, W) in [-1, 1] and masks (1, H, W) in [0, 1]."""

    ornament_image: Tensor
    ornament_mask: Tensor
    person_image: Tensor
    wearing_mask: Tensor
    box_mask: Tensor


class Choices(NamedTuple):
    """What a seed chooses for a sample, whatever its images are.

    Attributes:
        angle: Degrees that the person is turned by.
        growth: Fractions by which the left, upper, right and lower side of the box move.
        flip: Whether all images are mirrored.
        change: The ornament's other colours, (3, 3); None where they stay.
        input_mask: What is masked out and given to the model.
        bare: Whether the model is shown the bare person, if there is one.
        photographic: Whether the images are made like photographs.
    """

    angle: float
    growth: tuple[float, float, float, float]
    flip: bool
    change: Tensor | None
    input_mask: InputMask
    bare: bool = False
    photographic: bool = False


@dataclass(frozen=True)
class TripletTransform:
    """Crop a triplet around its boxes and make tensors of it.

    The user's box is coarse, so each side of the annotated box is moved outwards by a random fraction of the box's
    width or height (and stays in the image); this is the jitter of the box too. The person is cropped to a square
    around that box, the ornament to a square around its mask. What lies outside an image is mid grey.

    Args:
        resolution: Side of the results in pixels.
        box_growth: Least and greatest fraction by which a side of the box moves.
        crop_factor: Side of the person's square over the longer side of the coarse box.
        flip: Mirror ornament and person together for half of the samples.
        recolour: Share of the samples whose ornament gets another colour, the same in both images.
        input_mask: What is masked out and given to the model; ``oriented_box`` is that of the metadata, whose sides
            move outwards as those of the box do, or the tightest one where they have none.
        reference_rotation: The ornament's image is turned by up to so many degrees, either way.
        reference_scale: Least and greatest factor of the ornament's size in its crop.
        whole: Add the whole photograph of the person, and where the crop and the box are in it.
        rotation: The person is turned by up to so many degrees, either way; the annotated box is then the one around
            the turned wearing mask, and around the oriented box, which is turned along, if there is one. With ``whole``
            the photograph is the turned one.
        correspondence: Add which point of the ornament's image each pixel of the person shows.
        wide_view: Add a wider crop of the person, of so many times the side; None for none.
        detail: Add the ornament at so many times the resolution, where that is more than 1.
        bare: Share of the samples, in [0, 1], whose model is shown the person without the ornament, ``bare.jpg``,
            instead of one whose box is masked out; those that have no such image keep it masked out.
        photographic: Share of the samples, in [0, 1], whose images are made like photographs.
        photographic_changes: What changes in them; see :mod:`datamodules.samples.photographs`.
    """

    resolution: int
    box_growth: tuple[float, float] = (0.1, 0.25)
    crop_factor: float = 1.5
    flip: bool = False
    recolour: float = 0.0
    input_mask: InputMask = "box"
    reference_rotation: float = 0.0
    reference_scale: tuple[float, float] = (1.0, 1.0)
    whole: bool = False
    rotation: float = 0.0
    correspondence: bool = False
    wide_view: float | None = None
    detail: int = 1
    bare: float = 0.0
    photographic: float = 0.0
    photographic_changes: tuple[Change, ...] = CHANGES

    def __call__(self, triplet: Triplet, seed: int) -> TryOnSample:
        """Transform one triplet; the result depends on nothing but the arguments.

        Args:
            triplet: The decoded sample.
            seed: Its ``sample_seed``.

        Returns:
            One row of a batch.
        """
        choices = self.choices(seed)
        if choices.photographic:
            triplet = photographed(triplet, seed, self.photographic_changes)
        triplet = turn_person(triplet, choices.angle) if self.rotation else triplet
        box = grown_box(triplet.box, choices.growth, triplet.person.size)
        crop, reference = square_crop(box, self.crop_factor), self.reference(triplet, seed)
        person = (
            image_to_tensor(triplet.person, crop, self.resolution),
            mask_to_tensor(triplet.wearing_mask, crop, self.resolution),
            draw_box(box, crop, self.resolution),
        )
        images = Images(*reference.tensors(self.resolution), *person)
        if choices.flip:
            images = Images(*(image.flip(-1) for image in images))
        if choices.change is not None:
            images = recolour(images, choices.change)
        sample = TryOnSample(
            ornament_image=images.ornament_image,
            ornament_mask=images.ornament_mask,
            person_image=images.person_image,
            wearing_mask=images.wearing_mask,
            box_mask=images.box_mask,
            category=triplet.category,
            key=triplet.key,
            sample_seed=seed,
            components=triplet.components,
        )
        if self.input_mask != "box":
            turned = _oriented_mask(triplet, choices.growth, crop, self.resolution, choices.flip)
            sample["input_mask"] = draw_input_mask(choices.input_mask, images.wearing_mask, images.box_mask, turned)
        if self.whole:
            sample["photograph"] = torch.from_numpy(np.array(triplet.person)).permute(2, 0, 1)
            sample["crop"], sample["box"] = torch.tensor(crop), torch.tensor(box)
        self._add_extras(sample, View(triplet, box, crop, reference, choices.flip, choices.change, choices.bare))
        return sample

    def _add_extras(self, sample: TryOnSample, view: View) -> None:
        if self.correspondence:
            sample["correspondence"] = correspondence_of(view, self.resolution)
        if self.wide_view is not None:
            sample["wide_view"] = wide_view_of(view, self.wide_view, self.resolution)
        if self.bare:
            sample["bare_person"] = bare_person_of(view, self.wide_view, self.resolution)
        if self.detail > 1:
            sample["ornament_detail"] = detail_of(view, self.detail * self.resolution)

    def choices(self, seed: int) -> Choices:
        """What a ``sample_seed`` chooses."""
        rng, angle = random.Random(hash_seed(seed, "augmentation")), 0.0
        if self.rotation:
            angle = random.Random(hash_seed(seed, "rotation")).uniform(-self.rotation, self.rotation)
        growth = self._growth(rng)
        flip = self.flip and rng.random() < 0.5
        change = draw_colour_change(rng) if self.recolour and rng.random() < self.recolour else None
        kind = self.input_mask
        if kind == "mixed":
            kind = choose_input_mask(kind, random.Random(hash_seed(seed, "input_mask")))
        bare, photographic = (
            share > 0 and random.Random(hash_seed(seed, name)).random() < share
            for name, share in (("bare", self.bare), ("photographic", self.photographic))
        )
        return Choices(angle, growth, flip, change, kind, bare, photographic)

    def reference(self, triplet: Triplet, seed: int) -> Reference:
        """How a sample shows the ornament's image.

        Raises:
            SampleError: ``empty_mask``, if nothing is left of a thin mask once it is turned.
        """
        rng = random.Random(hash_seed(seed, "reference"))
        return draw_reference(triplet, self.reference_rotation, self.reference_scale, rng)

    def wants(self, entry: str) -> bool:
        """Whether an entry of a sample is looked at."""
        extras = {CORRESPONDENCE: self.correspondence, BARE: self.bare > 0}
        return entry in ENTRIES or extras.get(entry, False)

    def coarse_box(self, triplet: Triplet, rng: random.Random) -> Box:
        """Box as a user would draw it: it contains the annotated one and lies in the image."""
        return grown_box(triplet.box, self._growth(rng), triplet.person.size)

    def _growth(self, rng: random.Random) -> Fractions:
        left, top, right, bottom = (rng.uniform(*self.box_growth) for _ in range(4))
        return left, top, right, bottom


def grown_box(box: Box, growth: Fractions, size: tuple[int, int]) -> Box:
    """A box whose sides have moved outwards by fractions of it, as far as it lies in an image of width and height."""
    return clip_box(grow_box(box, growth), *size)


def _oriented_mask(triplet: Triplet, fractions: Fractions, crop: Crop, resolution: int, flip: bool) -> Tensor | None:
    """The coarse oriented box, what of it lies in the coarse box; None where there is none, or too thin a one."""
    if triplet.oriented_box is None:
        return None
    coarse = grow_oriented_box(triplet.oriented_box, fractions)
    box = grown_box(triplet.box, fractions, triplet.person.size)
    mask = draw_oriented_box(coarse, crop, resolution) * draw_box(box, crop, resolution)
    if not mask.any():
        return None
    return mask.flip(-1) if flip else mask


def recolour(images: Images, change: Tensor) -> Images:
    """Change the colours of the ornament, in its own image and where it is worn, by a (3, 3) matrix."""
    return images._replace(
        ornament_image=change_colours(images.ornament_image, images.ornament_mask, change),
        person_image=change_colours(images.person_image, images.wearing_mask, change),
    )
