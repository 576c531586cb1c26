"""Images turned by any angle, and where their points go."""

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.samples.carrying import resample
from datamodules.samples.decoding import Triplet
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import MID_GREY, OrientedBox, bounding_box, box_centre, clip_box, mask_to_box, union


def turn_image(image: Image.Image, angle: float) -> Image.Image:
    """Turn an ``RGB`` image counter-clockwise by degrees; all of it stays in, and mid grey is around it."""
    return image.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=(MID_GREY,) * 3)


def turn_mask(mask: Image.Image, angle: float) -> Image.Image:
    """Turn a mask of mode ``L`` or ``F`` in the same way; 0 is around it."""
    return mask.rotate(angle, Image.Resampling.BILINEAR, expand=True)


def turn_points(
    points: NDArray[np.float32], angle: float, size: tuple[int, int], turned: tuple[int, int]
) -> NDArray[np.float32]:
    """Where points of an image are in the turned one.

    Args:
        points: (..., 2), x and y in pixels.
        angle: Degrees.
        size: Width and height of the image.
        turned: Those of the turned one: middle lies on middle.
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    turn = np.array([[cosine, -sine], [sine, cosine]], np.float32)
    middles = np.array([size, turned], np.float32) / 2
    return np.asarray((points - middles[0]) @ turn + middles[1], np.float32)


def turn_oriented_box(box: OrientedBox, angle: float, size: tuple[int, int], turned: tuple[int, int]) -> OrientedBox:
    """Where an oriented box of an image is in the turned one; see :func:`turn_points`."""
    centre = box_centre(box)
    x, y = (turn_points(centre.astype(np.float32), angle, size, turned) - centre).tolist()
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y, box[4] - angle


def turn_person(triplet: Triplet, angle: float) -> Triplet:
    """Turn the person of a triplet: image, wearing mask, correspondence, and the box, now that of the turned mask.

    An oriented box is turned along, and the box is around both, then.

    Raises:
        SampleError: ``empty_mask``, if nothing is left of a thin mask once it is turned.
    """
    mask = turn_mask(triplet.wearing_mask, angle)
    box = mask_to_box(mask)
    if box is None:
        raise SampleError(
            f"{triplet.key}: a wearing mask must have a pixel above 127, got none after a turn; the ornament is too "
            "thin for rotation",
            "empty_mask",
        )
    known, person = triplet.correspondence, turn_image(triplet.person, angle)
    given = triplet.oriented_box
    turned = None if given is None else turn_oriented_box(given, angle, triplet.person.size, person.size)
    return triplet._replace(
        person=person,
        wearing_mask=mask,
        box=box if turned is None else clip_box(union(box, bounding_box(turned)), *person.size),
        oriented_box=turned,
        correspondence=None if known is None else resample(known, lambda plane: turn_mask(plane, angle)),
        bare=None if triplet.bare is None else turn_image(triplet.bare, angle),
    )
