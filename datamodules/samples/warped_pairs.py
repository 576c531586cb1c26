"""Warped pairs: an ornament, cut out of its image, is bent and pasted onto a person who wears another one.

Which point of the ornament's image is seen where is then known exactly: what a photograph of the ornament worn does
not say. So any packed photographs can teach a network where to look.
"""

import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.samples.correspondence import PixelCorrespondence
from datamodules.samples.decoding import Triplet
from datamodules.samples.seeding import hash_seed
from datamodules.samples.warping.background import without_ornament
from datamodules.samples.warping.cutout import cut_out, frame, not_faint
from datamodules.samples.warping.field import Warp
from datamodules.samples.warping.pasting import FINE, Drawn, draw
from datamodules.samples.warping.placing import settle, survey
from datamodules.samples.warping.sampling import Edge, Light, Place, draw_edge, draw_light, draw_place, draw_warp
from datamodules.storage.sample_errors import SampleError
from ornament_lit.imaging.geometry import Box, mask_to_box


def warped_pair(ornament: Triplet, person: Triplet, seed: int) -> Triplet:
    """Put the ornament of one triplet onto the person of another one; the result depends on the arguments alone.

    Args:
        ornament: Gives the ornament, its type and its key.
        person: Gives the person, best one who wears an ornament of the same type: its box says where.
        seed: ``sample_seed`` of the pair.

    Returns:
        A triplet with exact ``correspondence``, without latents. Ornament and person keep the sizes of their images.
        Behind the ornament is the person's ``bare`` image, which is also that of the result; where there is none,
        the person's own ornament is filled smoothly, and ``bare`` is None.

    Raises:
        SampleError: ``empty_mask``, if less than half of each pixel is covered by it, as by a very thin ornament.
    """
    rng = random.Random(hash_seed(seed, "warped_pair"))
    try:
        return paste(ornament, person, draw_warp(rng), draw_edge(rng), draw_light(rng), draw_place(rng))
    except SampleError as error:
        raise SampleError(f"{ornament.key}, warped onto {person.key}: {error}", error.reason) from error


def paste(ornament: Triplet, person: Triplet, warp: Warp, edge: Edge, light: Light, place: Place) -> Triplet:
    """The pair of two triplets by what is drawn for it; see :func:`warped_pair`."""
    laid = frame(ornament.ornament_mask)
    surveyed = survey(ornament.ornament_mask, laid, warp, edge)
    placement = settle(surveyed, place, person.box, *person.person.size)
    factor = max(1, round(laid.half / (FINE * placement.half)))
    cutout = cut_out(ornament.ornament, ornament.ornament_mask, factor)
    drawn = draw(cutout, laid, surveyed, edge, light, placement)
    background = person.bare or without_ornament(person.person, person.wearing_mask)
    mask = _in_window(drawn.coverage, placement.window, person.person.size)
    return ornament._replace(
        person=_over(drawn, background, placement.window),
        wearing_mask=mask,
        box=_box(mask),
        latents=(),
        correspondence=_correspondence(drawn, placement.window, person.person.size),
        bare=person.bare,
    )


def _over(drawn: Drawn, background: Image.Image, window: tuple[int, int, int, int]) -> Image.Image:
    behind = np.asarray(background.crop(window), dtype=np.float32)
    mixed = drawn.colours * 255 + behind * (1 - drawn.coverage[..., None])
    result = background.copy()
    result.paste(Image.fromarray(np.rint(mixed).clip(0, 255).astype(np.uint8)), window[:2])
    return result


def _in_window(coverage: NDArray[np.float32], window: tuple[int, int, int, int], size: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", size)
    mask.paste(Image.fromarray(np.rint(coverage * 255).astype(np.uint8)), window[:2])
    return mask


def _box(mask: Image.Image) -> Box:
    """Box around all that is not faint: of a thin chain, few pixels are half covered."""
    box = not_faint(mask).getbbox()
    if box is None or mask_to_box(mask) is None:
        raise SampleError(
            "a wearing mask must have a pixel above 127, got none; the ornament is too thin", "empty_mask"
        )
    return box


def _correspondence(drawn: Drawn, window: tuple[int, int, int, int], size: tuple[int, int]) -> PixelCorrespondence:
    x0, y0, x1, y1 = window
    points = np.zeros((size[1], size[0], 2), dtype=np.float32)
    known = np.zeros((size[1], size[0]), dtype=np.float32)
    points[y0:y1, x0:x1], known[y0:y1, x0:x1] = drawn.points, drawn.coverage
    return PixelCorrespondence(points, known, known)
