"""A triplet that was rendered before, composed again from what its metadata say, and compared with its masks."""

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.rendering.composition import Composition, Recipe, compose, detail_for
from datamodules.rendering.renderer.masks import Coverage

NEEDED = ("json", "wearing_mask.png", "ornament_mask.png")
TOLERANCE = 0.02
NUMBER = re.compile(r"-(\d+)$")


Options = Mapping[str, Mapping[str, Any]]
"""What the metadata do not say of a recipe, by split; see :func:`datamodules.rendering.records.read_options`."""


class StrangeError(ValueError):
    """A sample that is not what its seed draws here; the message says in what."""


def recompose(key: str, entries: Mapping[str, bytes], options: Options) -> Composition:
    """Draw a triplet of ``data render`` again.

    Args:
        key: Its key, which ends with its number in the set.
        entries: Its files by name: those of :data:`NEEDED`.
        options: Of the splits: ``detail`` and ``whole_scene``; those of ``data render`` where there are none.

    Raises:
        StrangeError: If it was not made by ``data render``, or something else is drawn from its seed here.
    """
    metadata = _metadata(entries["json"])
    masks = {name: _mask(name, entries[name]) for name in NEEDED[1:]}
    number = NUMBER.search(key)
    if number is None:
        raise StrangeError(f"a key of data render must end with a number, got {key!r}")
    composition = _compose(int(number[1]), _recipe(metadata, len(masks["wearing_mask.png"]), options))
    drawn = {"type": composition.design.category, "attempt": composition.attempt, "mirrored": composition.mirrored}
    for name, value in drawn.items():
        if metadata.get(name) != value:
            raise StrangeError(f"{name} is {metadata.get(name)!r}, its seed draws {value!r}")
    covered = {"wearing_mask.png": composition.masks.visible, "ornament_mask.png": composition.laid_masks.visible}
    for name, mask in covered.items():
        _compare(name, masks[name], mask[:, ::-1] if composition.mirrored else mask)
    return composition


def _metadata(content: bytes) -> dict[str, Any]:
    try:
        metadata = json.loads(content)
    except ValueError as error:
        raise StrangeError(f"its json cannot be read: {error}") from error
    if not isinstance(metadata, dict) or not isinstance(metadata.get("seed"), int) or "split" not in metadata:
        raise StrangeError("its json has no seed and split: data render did not make it")
    return metadata


def _mask(name: str, content: bytes) -> NDArray[np.uint8]:
    try:
        return np.asarray(Image.open(io.BytesIO(content), formats=("PNG",)).convert("L"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise StrangeError(f"{name} cannot be decoded: {error}") from error


def _recipe(metadata: Mapping[str, Any], size: int, options: Options) -> Recipe:
    given = options.get(metadata["split"], {})
    detail, whole_scene = given.get("detail", detail_for(size)), given.get("whole_scene", False)
    return Recipe(metadata["seed"], metadata["split"], size, detail=detail, whole_scene=whole_scene)


def _compose(index: int, recipe: Recipe) -> Composition:
    try:
        return compose(index, recipe)
    except RuntimeError as error:
        raise StrangeError(str(error)) from error


def _compare(name: str, stored: NDArray[np.uint8], drawn: Coverage) -> None:
    if stored.shape != drawn.shape:
        raise StrangeError(f"{name} has {stored.shape[::-1]} pixels, its seed draws {drawn.shape[::-1]}")
    mask = stored.astype(np.float32) / 255
    share = float(np.abs(mask - drawn).sum() / max(float(mask.sum()), 1.0))
    if share > TOLERANCE:
        raise StrangeError(
            f"{name} differs from what its seed draws by {share:.0%} of its area, more than {TOLERANCE:.0%}: was it "
            "rendered by another version, or of another --detail or --whole_scene?"
        )
