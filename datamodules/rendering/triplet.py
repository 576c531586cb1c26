"""One triplet: composed, rendered, denoised, developed and encoded as the entries of a shard."""

import gc
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import mitsuba
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_dilation

from datamodules.rendering.appearance.lights import Dome, draw_dome, irradiance
from datamodules.rendering.appearance.tone_mapping import adapted_exposure, develop
from datamodules.rendering.composition import Composition, Recipe, compose
from datamodules.rendering.correspondence import correspond
from datamodules.rendering.geometry.vectors import Vector, unit
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.denoising import denoise
from datamodules.rendering.renderer.masks import Coverage, Masks, Window, camera_frame, extent
from datamodules.rendering.renderer.scene import Part, bare_parts, laid_parts, load_scene, worn_parts
from datamodules.rendering.renderer.tracing import GROUPS, View, features, trace
from datamodules.rendering.schema import COMPONENTS, PENDANT, POSE, complete
from datamodules.samples.correspondence_png import encode_correspondence
from datamodules.samples.schema import CORRESPONDENCE
from datamodules.samples.seeding import hash_seed
from ornament_lit.imaging.writing import encode_jpeg

JPEG_QUALITY = 95
ELSEWHERE = 4

ImageArray = NDArray[np.uint8]
Radiance = NDArray[np.float32]


class Rendered(NamedTuple):
    """A triplet for a shard.

    Attributes:
        entries: Files by name, as in :mod:`datamodules.samples.decoding`.
        rejected: Why drawings before it were thrown away.
    """

    entries: dict[str, bytes]
    rejected: tuple[str, ...]


class Shots(NamedTuple):
    """The images of a triplet, (size, size, 3) each; ``bare`` is None where it is not asked for."""

    ornament: ImageArray
    person: ImageArray
    bare: ImageArray | None


def render_triplet(index: int, recipe: Recipe) -> Rendered:
    """Render a triplet: the same bytes for the same arguments and variant, in any process and order.

    Args:
        index: Its number in the set.
        recipe: What the set's triplets have in common.
    """
    composition = compose(index, recipe)
    lights = np.random.default_rng(hash_seed(composition.seed, "light"))
    person_dome = draw_dome(lights, composition.worn.light_up, _key_light(composition.worn.camera, lights))
    table_dome = draw_dome(lights, np.array([0.0, 0.0, 1.0]))
    shots = _shoot(composition, recipe, (person_dome, table_dome), lights.uniform(0.78, 1.05, 2))
    metadata = _metadata(composition, recipe, {"person": person_dome.info, "ornament": table_dome.info})
    return Rendered(_encode(composition, shots, metadata), composition.rejected)


def _key_light(camera: Camera, rng: np.random.Generator) -> Vector:
    """A direction from which the side that the camera sees is lit."""
    right, up, _ = camera_frame(camera)[1]
    side = rng.choice([-1, 1]) * rng.uniform(0.3, 1.0)
    return np.asarray(unit(camera.direction * rng.uniform(0.5, 1.0) + up * rng.uniform(-0.1, 0.9) + right * side))


def _shoot(composition: Composition, recipe: Recipe, domes: tuple[Dome, Dome], exposures: NDArray[np.float64]) -> Shots:
    worn, laid, look = composition.worn, composition.laid, composition.look
    frame = worn.camera, composition.window
    person = _render(worn_parts(worn, look), domes[0], frame, composition.masks, recipe, composition.seed)
    facing = worn.camera.direction
    lit = max(irradiance(domes[0].radiance, normal) for normal in (facing, unit(facing + 0.5 * worn.light_up)))
    around = person[composition.masks.visible == 0].mean(-1)
    exposure = adapted_exposure(exposures[0] * 0.95 * np.pi / lit, around if around.size else person.mean(-1))
    bare = None
    if recipe.bare:
        without = composition.masks._replace(sharp=np.zeros_like(composition.masks.sharp))
        bare = develop(_render(bare_parts(worn, look), domes[0], frame, without, recipe, composition.seed), exposure)
    frame = laid.camera, composition.laid_window
    seed = hash_seed(composition.seed, "laid")
    ornament = _render(laid_parts(laid, look), domes[1], frame, composition.laid_masks, recipe, seed)
    table_lit = irradiance(domes[1].radiance, np.array([0.0, 0.0, 1.0]))
    return Shots(develop(ornament, exposures[1] * 0.9 * np.pi / table_lit), develop(person, exposure), bare)


def _render(
    parts: Sequence[Part], dome: Dome, frame: tuple[Camera, Window], masks: Masks, recipe: Recipe, seed: int
) -> Radiance:
    """Linear radiance, (size, size, 3), denoised."""
    gc.collect()
    view = View(load_scene(parts, dome, *frame), frame[1])
    samples = -(-recipe.samples_per_pixel // GROUPS) * GROUPS
    elsewhere = max(samples // ELSEWHERE // GROUPS, 1) * GROUPS
    important = binary_dilation(masks.visible > 0)
    estimate = trace(view, important, samples, elsewhere, seed % 2**31)
    surfaces = features(view, (seed + 2) % 2**31)
    return denoise(estimate.groups, surfaces, masks.sharp)


def _metadata(composition: Composition, recipe: Recipe, lights: dict[str, Any]) -> dict[str, Any]:
    worn, window = composition.worn, composition.window
    design = asdict(composition.design)
    mask = _oriented(composition.masks.visible, composition.mirrored)
    return {
        "type": composition.design.category,
        "kind": composition.design.kind,
        "box": extent(mask),
        "design": design | {"pendant": complete(design["pendant"] or {}, PENDANT)},
        "components": complete(worn.components, COMPONENTS),
        "materials": sorted(worn.ornament),
        "visible_fraction": round(composition.visible_fraction, 4),
        "pose": complete(worn.info, POSE),
        "reference": composition.laid.info,
        "look": composition.look.info,
        "lights": lights,
        "crop": [round(value / window.whole, 5) for value in (window.x, window.y, window.size)],
        "mirrored": composition.mirrored,
        "split": recipe.split,
        "seed": recipe.seed,
        "attempt": composition.attempt,
        "rejected": ", ".join(composition.rejected),
        "samples_per_pixel": recipe.samples_per_pixel,
        "mitsuba": mitsuba.__version__,
        "variant": mitsuba.variant(),
    }


def _encode(composition: Composition, shots: Shots, metadata: dict[str, Any]) -> dict[str, bytes]:
    mirrored = composition.mirrored
    images = {"ornament.jpg": shots.ornament, "person.jpg": shots.person}
    images |= {} if shots.bare is None else {"bare.jpg": shots.bare}
    masks = {
        "ornament_mask.png": composition.laid_masks.visible,
        "wearing_mask.png": composition.masks.visible,
    }
    entries = {name: encode_image(_oriented(image, mirrored)) for name, image in images.items()}
    entries |= {name: encode_mask(_oriented(mask, mirrored)) for name, mask in masks.items()}
    entries |= {CORRESPONDENCE: encode_correspondence(correspond(composition))}
    return entries | {"json": json.dumps(metadata, sort_keys=True, separators=(",", ":")).encode()}


def _oriented(image: NDArray[Any], mirrored: bool) -> NDArray[Any]:
    return image[:, ::-1] if mirrored else image


def encode_image(image: ImageArray) -> bytes:
    """JPEG of good quality with full colour resolution."""
    return encode_jpeg(Image.fromarray(np.ascontiguousarray(image)), JPEG_QUALITY)


def encode_mask(mask: Coverage) -> bytes:
    """PNG of a coverage in [0, 1], 0 to 255."""
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask * 255 + 0.5, np.uint8)).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
