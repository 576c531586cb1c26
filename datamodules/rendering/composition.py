"""What a triplet shows, drawn from the set's seed and the triplet's number; nothing is rendered yet.

A drawing may fail: the ornament is hidden by the body, runs out of the image or is too small. Then it is drawn anew
with the next attempt's seed. So a triplet never depends on others, nor on the process that makes it.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datamodules.rendering.appearance.looks import Look, draw_look
from datamodules.rendering.bodies import draw_body, draw_tone
from datamodules.rendering.bodies.skin import to_linear
from datamodules.rendering.geometry.views import LaidView, WornView
from datamodules.rendering.ornaments import KINDS, Design, design_split, draw_design
from datamodules.rendering.poses import lay_out, wear
from datamodules.rendering.renderer.masks import HALF, Coverage, Masks, Window, draw_masks, extent
from datamodules.samples.seeding import hash_seed

CATEGORIES = tuple(KINDS)
ORNAMENTS_PER_BODY = 8
ATTEMPTS = 48
ATTEMPTS_PER_BODY = 6
SCOUT = 96
SMALLEST_VISIBLE_FRACTION = 0.4
SMALLEST_AREA = 0.012
SMALLEST_AREA_OF_SCENE = 0.002
MARGINS = (1.75, 2.25)
JITTER = 0.12


@dataclass(frozen=True)
class Recipe:
    """What all triplets of a set have in common.

    Attributes:
        seed: Of the set.
        split: Which designs it has: ``train``, ``val`` or ``test``.
        size: Width and height of the images in pixels.
        samples_per_pixel: Of the ornament's pixels; others get a quarter.
        bare: Whether there is an image of the person without the ornament.
        whole_scene: Whether the person is shown as far as the scene goes, instead of twice the ornament's box.
        detail: Resolution of the bodies; 1 is right for 256 pixels and more.
    """

    seed: int
    split: str = "train"
    size: int = 512
    samples_per_pixel: int = 64
    bare: bool = False
    whole_scene: bool = False
    detail: float = 1.0


class Composition(NamedTuple):
    """A triplet before it is rendered.

    Attributes:
        seed: Source of chance of all that is still to be drawn.
        attempt: Which attempt succeeded, from 0.
        rejected: Why the attempts before failed.
        design: The ornament.
        worn: Somebody wears it.
        laid: It lies on a table.
        look: Colours and textures.
        window: Part of ``worn`` that is shown.
        laid_window: Part of ``laid`` that is shown: all.
        masks: In ``window``.
        laid_masks: In ``laid_window``.
        visible_fraction: How much of the ornament is seen in ``worn``, outside of the image counted as hidden.
        mirrored: Whether all images are mirrored, as a left hand is a right one.
    """

    seed: int
    attempt: int
    rejected: tuple[str, ...]
    design: Design
    worn: WornView
    laid: LaidView
    look: Look
    window: Window
    laid_window: Window
    masks: Masks
    laid_masks: Masks
    visible_fraction: float
    mirrored: bool


class RejectedError(Exception):
    """A drawing that shows too little of its ornament; the message is the name of the rule."""


def compose(index: int, recipe: Recipe) -> Composition:
    """Draw a triplet.

    Args:
        index: Its number in the set, which decides its category: they come in turn.
        recipe: What the set's triplets have in common.

    Raises:
        RuntimeError: If no attempt of very many succeeds.
    """
    rejected: list[str] = []
    for attempt in range(ATTEMPTS):
        try:
            return _attempt(index, attempt, recipe, tuple(rejected))
        except RejectedError as error:
            rejected.append(str(error))
    raise RuntimeError(f"no drawing of {ATTEMPTS} shows the ornament of triplet {index}: {', '.join(rejected)}")


def _attempt(index: int, attempt: int, recipe: Recipe, rejected: tuple[str, ...]) -> Composition:
    category = CATEGORIES[index % len(CATEGORIES)]
    seed = hash_seed(recipe.seed, recipe.split, "ornament", index, attempt)
    rng = np.random.default_rng(seed)
    design = _draw_design_of(recipe.split, category, rng)
    tone = draw_tone(rng)
    group = index // len(CATEGORIES) // ORNAMENTS_PER_BODY, attempt // ATTEMPTS_PER_BODY
    body = draw_body(category, hash_seed(recipe.seed, recipe.split, "body", *group), recipe.detail)
    worn = wear(design, body, tone, rng)
    fraction, box = _scout(worn)
    window = Window(0, 0, recipe.size, recipe.size) if recipe.whole_scene else _window(box, recipe.size, rng)
    masks = draw_masks(worn.ornament, worn.body, worn.camera, window)
    _check_area(masks.visible, SMALLEST_AREA_OF_SCENE if recipe.whole_scene else SMALLEST_AREA)
    laid = lay_out(design, worn.fit, rng)
    laid_window = Window(0, 0, recipe.size, recipe.size)
    laid_masks = draw_masks(laid.ornament, {}, laid.camera, laid_window)
    _check_area(laid_masks.visible, SMALLEST_AREA)
    look = draw_look(rng, to_linear(tone), design.roughness)
    mirrored = bool(rng.random() < 0.5)
    views = worn, laid, look, window, laid_window, masks, laid_masks
    return Composition(seed, attempt, rejected, design, *views, fraction, mirrored)


def _draw_design_of(split: str, category: str, rng: np.random.Generator) -> Design:
    while True:
        design = draw_design(rng, category)
        if design_split(design) == split:
            return design


def _scout(worn: WornView) -> tuple[float, tuple[float, float, float, float]]:
    """How much of the ornament is seen, and its box as shares of the whole image, by a cheap look beyond its borders.

    Raises:
        RejectedError: If too little is seen.
    """
    wide = Window(-SCOUT // 2, -SCOUT // 2, 2 * SCOUT, SCOUT)
    masks = draw_masks(worn.ornament, worn.body, worn.camera, wide)
    inside = masks.visible[SCOUT // 2 : -SCOUT // 2, SCOUT // 2 : -SCOUT // 2]
    box = extent(inside, 0.3)
    if box is None:
        raise RejectedError("hidden")
    fraction = float(min(inside.sum() / max(float(masks.full.sum()), 1e-6), 1.0))
    if fraction < SMALLEST_VISIBLE_FRACTION:
        raise RejectedError("mostly hidden")
    x0, y0, x1, y1 = (edge / SCOUT for edge in box)
    return fraction, (x0, y0, x1, y1)


def _window(box: tuple[float, float, float, float], size: int, rng: np.random.Generator) -> Window:
    """A square of about twice the box, not centred exactly, within the image."""
    x0, y0, x1, y1 = box
    side = min(max(x1 - x0, y1 - y0) * rng.uniform(*MARGINS), 1.0)
    whole = round(size / side)
    shift = rng.uniform(-JITTER, JITTER, 2)
    x, y = (
        round(((low + high - side) / 2 + move * side) * whole)
        for low, high, move in ((x0, x1, shift[0]), (y0, y1, shift[1]))
    )
    last = whole - size
    return Window(min(max(x, 0), last), min(max(y, 0), last), size, whole)


def _check_area(mask: Coverage, smallest: float) -> None:
    if float((mask > HALF).mean()) < smallest:
        raise RejectedError("too small")


def detail_for(size: int) -> float:
    """Resolution of the bodies for a size of the images: small images do not show it."""
    return min(1.0, 0.5 + size / 512)
