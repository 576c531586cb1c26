"""Triplets to the entries of a TryOnBatch: coarse box, crop, resize, flip, normalise."""

import random
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from torch import Tensor

from datamodules.decoding import ENTRIES, Triplet
from datamodules.seeding import hash_seed
from ornament_lit.batch import EncodedImages
from ornament_lit.geometry import Box, Crop, clip_box, draw_box, grow_box, mask_to_box, square_crop
from ornament_lit.windows import ORNAMENT_FACTOR, image_to_tensor, mask_to_tensor

VERSION = 1
"""What a seed draws: raise it when a seed comes to mean another crop or flip, since stored latents do not fit then."""


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
    encoded: NotRequired[EncodedImages]


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
    """

    resolution: int
    box_growth: tuple[float, float] = (0.1, 0.25)
    crop_factor: float = 1.5
    flip: bool = False

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
        person, ornament = square_crop(box, self.crop_factor), _ornament_crop(triplet)
        tensors = (
            image_to_tensor(triplet.ornament, ornament, self.resolution),
            mask_to_tensor(triplet.ornament_mask, ornament, self.resolution),
            image_to_tensor(triplet.person, person, self.resolution),
            mask_to_tensor(triplet.wearing_mask, person, self.resolution),
            draw_box(box, person, self.resolution),
        )
        if self.flip and rng.random() < 0.5:
            tensors = tuple(tensor.flip(-1) for tensor in tensors)  # type: ignore[assignment]
        return TryOnSample(
            ornament_image=tensors[0],
            ornament_mask=tensors[1],
            person_image=tensors[2],
            wearing_mask=tensors[3],
            box_mask=tensors[4],
            category=triplet.category,
            key=triplet.key,
            sample_seed=seed,
        )

    @staticmethod
    def wants(entry: str) -> bool:
        """Whether an entry of a sample is looked at."""
        return entry in ENTRIES

    def coarse_box(self, triplet: Triplet, rng: random.Random) -> Box:
        """Box as a user would draw it: it contains the annotated one and lies in the picture."""
        left, top, right, bottom = (rng.uniform(*self.box_growth) for _ in range(4))
        return clip_box(grow_box(triplet.box, (left, top, right, bottom)), *triplet.person.size)


def _ornament_crop(triplet: Triplet) -> Crop:
    box = mask_to_box(triplet.ornament_mask)
    assert box is not None
    return square_crop(box, ORNAMENT_FACTOR)
