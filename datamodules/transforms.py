"""Triplets to the entries of a TryOnBatch: coarse box, crop, resize, flip, normalise."""

import math
import random
from dataclasses import dataclass
from typing import NamedTuple, NotRequired, TypedDict

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.decoding import ENTRIES, Triplet
from datamodules.faults import SampleError
from datamodules.input_masks import InputMask, draw_input_mask
from datamodules.seeding import hash_seed
from ornament_lit.batch import EncodedImages
from ornament_lit.geometry import MID_GREY, Box, clip_box, draw_box, grow_box, mask_to_box, square_crop
from ornament_lit.windows import ORNAMENT_FACTOR, image_to_tensor, mask_to_tensor

VERSION = 1
"""What a seed draws: raise it when a seed comes to mean another crop or flip, since stored latents do not fit then."""

TINT = 0.25


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
    window: NotRequired[Tensor]
    box: NotRequired[Tensor]


class OtherSample(TypedDict):
    """One row of :class:`ornament_lit.batch.OtherOrnament`."""

    ornament_image: Tensor
    ornament_mask: Tensor
    key: str


class Pictures(NamedTuple):
    """The pictures of a sample: images (3, H, W) in [-1, 1] and masks (1, H, W) in [0, 1]."""

    ornament_image: Tensor
    ornament_mask: Tensor
    person_image: Tensor
    wearing_mask: Tensor
    box_mask: Tensor


@dataclass(frozen=True)
class TripletTransform:
    """Crop a triplet around its boxes and make tensors of it.

    The user's box is coarse, so each side of the annotated box is moved outwards by a random fraction of the box's
    width or height (and stays in the picture); this is the jitter of the box too. The person is cropped to a square
    around that box, the ornament to a square around its mask. What lies outside a picture is mid grey.

    Args:
        resolution: Side of the results in pixels.
        box_growth: Least and greatest fraction by which a side of the box moves.
        crop_factor: Side of the person's square over the longer side of the coarse box.
        flip: Mirror ornament and person together for half of the samples.
        recolour: Share of the samples whose ornament gets another colour, the same in both pictures.
        input_mask: What is erased and given to the model.
        reference_rotation: The ornament's picture is turned by up to so many degrees, either way.
        reference_scale: Least and greatest factor of the ornament's size in its window.
        whole: Add the whole photograph of the person, and where the window and the box are in it.
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

    def __call__(self, triplet: Triplet, seed: int) -> TryOnSample:
        """Transform one triplet; the result depends on nothing but the arguments.

        Args:
            triplet: The decoded sample.
            seed: Its ``sample_seed``.

        Returns:
            One row of a batch.
        """
        rng = random.Random(hash_seed(seed, "augmentation"))
        box = self.coarse_box(triplet, rng)
        window = square_crop(box, self.crop_factor)
        person = (
            image_to_tensor(triplet.person, window, self.resolution),
            mask_to_tensor(triplet.wearing_mask, window, self.resolution),
            draw_box(box, window, self.resolution),
        )
        flip = self.flip and rng.random() < 0.5
        pictures = Pictures(*self.ornament(triplet, seed), *person)
        if flip:
            pictures = Pictures(*(picture.flip(-1) for picture in pictures))
        if self.recolour and rng.random() < self.recolour:
            pictures = recolour(pictures, draw_colour_change(rng))
        sample = TryOnSample(
            ornament_image=pictures.ornament_image,
            ornament_mask=pictures.ornament_mask,
            person_image=pictures.person_image,
            wearing_mask=pictures.wearing_mask,
            box_mask=pictures.box_mask,
            category=triplet.category,
            key=triplet.key,
            sample_seed=seed,
            components=triplet.components,
        )
        if self.input_mask != "box":
            sample["input_mask"] = draw_input_mask(self.input_mask, pictures.wearing_mask, pictures.box_mask)
        if self.whole:
            sample["photograph"] = torch.from_numpy(np.array(triplet.person)).permute(2, 0, 1)
            sample["window"], sample["box"] = torch.tensor(window), torch.tensor(box)
        return sample

    def ornament(self, triplet: Triplet, seed: int) -> tuple[Tensor, Tensor]:
        """The ornament's picture and mask as the networks see them, turned and scaled as the options say.

        Raises:
            SampleError: ``empty_mask``, if nothing is left of a thin mask once it is turned.
        """
        image, mask, factor = triplet.ornament, triplet.ornament_mask, ORNAMENT_FACTOR
        rng = random.Random(hash_seed(seed, "reference"))
        if self.reference_rotation:
            angle = rng.uniform(-self.reference_rotation, self.reference_rotation)
            image = image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(MID_GREY,) * 3)
            mask = mask.rotate(angle, Image.Resampling.BILINEAR, expand=True)
        if self.reference_scale != (1.0, 1.0):
            factor /= rng.uniform(*self.reference_scale)
        box = mask_to_box(mask)
        if box is None:
            raise SampleError(
                f"{triplet.key}: an ornament mask must have a pixel above 127, got none after a turn; the ornament is "
                "too thin for reference_rotation",
                "empty_mask",
            )
        crop = square_crop(box, factor)
        return image_to_tensor(image, crop, self.resolution), mask_to_tensor(mask, crop, self.resolution)

    @staticmethod
    def wants(entry: str) -> bool:
        """Whether an entry of a sample is looked at."""
        return entry in ENTRIES

    def coarse_box(self, triplet: Triplet, rng: random.Random) -> Box:
        """Box as a user would draw it: it contains the annotated one and lies in the picture."""
        left, top, right, bottom = (rng.uniform(*self.box_growth) for _ in range(4))
        return clip_box(grow_box(triplet.box, (left, top, right, bottom)), *triplet.person.size)


def recolour(pictures: Pictures, change: Tensor) -> Pictures:
    """Change the colours of the ornament, in its own picture and where it is worn, by a (3, 3) matrix."""
    return pictures._replace(
        ornament_image=change_colours(pictures.ornament_image, pictures.ornament_mask, change),
        person_image=change_colours(pictures.person_image, pictures.wearing_mask, change),
    )


def draw_colour_change(rng: random.Random) -> Tensor:
    """Draw a linear change of colours: a turn of the hue, by any angle, and a tint.

    Args:
        rng: Where the angle and the logarithms of the tint's three factors (of deviation :data:`TINT`) come from.

    Returns:
        (3, 3), to be multiplied by RGB in [0, 1] as a column. Grey keeps its lightness; only the tint colours it.
    """
    angle = rng.uniform(0, 2 * math.pi)
    tint = torch.tensor([rng.gauss(0, TINT) for _ in range(3)])
    grey = torch.full((3, 3), 1 / 3)
    across = torch.tensor([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3)
    turn = math.cos(angle) * torch.eye(3) + (1 - math.cos(angle)) * grey + math.sin(angle) * across
    return torch.diag((tint - tint.mean()).exp()) @ turn


def change_colours(image: Tensor, mask: Tensor, change: Tensor) -> Tensor:
    """Change the colours of a picture inside a mask.

    Args:
        image: (3, H, W) in [-1, 1].
        mask: (1, H, W) in [0, 1].
        change: (3, 3), as :func:`draw_colour_change` draws it.

    Returns:
        (3, H, W) in [-1, 1].
    """
    changed = torch.einsum("ij,jhw->ihw", change, (image + 1) / 2).clamp(0, 1) * 2 - 1
    return torch.lerp(image, changed, mask)
