"""Light along paths: samples of chosen pixels, and what the first surfaces are like.

With a JIT variant any list of pixels is traced, each sample for itself; ``scalar_rgb`` renders the smallest rectangle
around them. Both give means over :data:`GROUPS` independent groups of samples, from which noise is estimated.
"""

from typing import NamedTuple

import mitsuba
import numpy as np
from numpy.typing import NDArray

from datamodules.rendering.renderer.masks import Window
from datamodules.rendering.renderer.scene import MAX_DEPTH, RUSSIAN_ROULETTE_DEPTH, SAMPLER

GROUPS = 4
FEATURES = 7
FEATURE_SAMPLES = 8
BATCH = 1 << 20

Radiance = NDArray[np.float32]


class Estimate(NamedTuple):
    """Radiance of the pixels of a square image.

    Attributes:
        groups: (:data:`GROUPS`, size, size, 3) means, each of independent samples.
        samples: (size, size) number of samples in all groups together.
    """

    groups: Radiance
    samples: NDArray[np.float32]


class View(NamedTuple):
    """What is rendered.

    Attributes:
        scene: From :func:`datamodules.rendering.renderer.scene.load_scene`.
        window: The part of the image that it was loaded for.
    """

    scene: "mitsuba.Scene"
    window: Window


def trace(view: View, important: NDArray[np.bool_], samples: int, elsewhere: int, seed: int) -> Estimate:
    """Estimate the radiance of all pixels.

    Args:
        view: What is rendered.
        important: (size, size) pixels that get ``samples``.
        samples: Samples of those, at least ``elsewhere``; both are multiples of :data:`GROUPS`.
        elsewhere: Samples of the others.
        seed: Source of chance.
    """
    integrator = mitsuba.load_dict({"type": "path", "max_depth": MAX_DEPTH, "rr_depth": RUSSIAN_ROULETTE_DEPTH})
    everywhere = np.ones_like(important)
    estimate = _sample(view, integrator, everywhere, elsewhere, seed)
    counts = np.full(important.shape, elsewhere, np.float32)
    more = samples - elsewhere
    if more <= 0 or not important.any():
        return Estimate(estimate, counts)
    extra = _sample(view, integrator, important, more, seed + 1)
    share = np.where(important, np.float32(more / samples), np.float32(0))[..., None]
    return Estimate(estimate + (extra - estimate) * share, np.where(important, np.float32(samples), counts))


def features(view: View, seed: int) -> NDArray[np.float32]:
    """Albedo, normal and depth of what is seen, (size, size, :data:`FEATURES`), without much noise."""
    integrator = mitsuba.load_dict({"type": "aov", "aovs": "albedo:albedo,normal:sh_normal,depth:depth"})
    everywhere = np.ones((view.window.size, view.window.size), bool)
    groups = _sample(view, integrator, everywhere, FEATURE_SAMPLES, seed)
    return np.ascontiguousarray(np.nan_to_num(groups.mean(0)), np.float32)


def _sample(
    view: View, integrator: "mitsuba.Integrator", pixels: NDArray[np.bool_], samples: int, seed: int
) -> Radiance:
    """Means of groups, (:data:`GROUPS`, size, size, channels), zero outside of ``pixels``."""
    if mitsuba.variant().startswith("scalar"):
        return _sample_rectangle(view.scene, integrator, pixels, samples, seed)
    rows, columns = np.nonzero(pixels)
    step = max(BATCH // samples, 1)
    parts = []
    for batch, start in enumerate(range(0, len(rows), step)):
        chosen = slice(start, start + step)
        values = _sample_list(view, integrator, rows[chosen], columns[chosen], samples, (seed + 7919 * batch) % 2**31)
        parts.append(_mean(values.reshape(len(values), -1, GROUPS, samples // GROUPS)))
    means = np.concatenate(parts, 1)
    groups = np.zeros((GROUPS, *pixels.shape, len(means)), np.float32)
    groups[:, rows, columns] = means.transpose(2, 1, 0)
    return groups


def _sample_list(
    view: View,
    integrator: "mitsuba.Integrator",
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    samples: int,
    seed: int,
) -> Radiance:
    """What each sample sees: (channels, pixels x samples).

    What differs from call to call must not be a literal in the kernel, or it is compiled anew: hence ``opaque``, and
    the evaluation of the sampler's state and of the result before they meet other code.
    """
    import drjit

    sampler = mitsuba.load_dict({"type": SAMPLER, "sample_count": samples})
    sampler.set_samples_per_wavefront(samples)
    sampler.seed(drjit.opaque(mitsuba.UInt32, seed), len(rows) * samples)
    sampler.schedule_state()
    x = drjit.repeat(mitsuba.Float((columns + view.window.x).astype(np.float32)), samples)
    y = drjit.repeat(mitsuba.Float((rows + view.window.y).astype(np.float32)), samples)
    drjit.eval(x, y)
    within = sampler.next_2d()
    scale = drjit.opaque(mitsuba.Float, 1 / view.window.whole)
    position = mitsuba.Point2f((x + within.x) * scale, (y + within.y) * scale)
    ray, _ = view.scene.sensors()[0].sample_ray(0.0, 0.0, position, mitsuba.Point2f(0.5))
    radiance, _, variables = integrator.sample(view.scene, sampler, ray)
    channels = variables or list(radiance)
    drjit.eval(channels)
    return np.stack([np.array(channel) for channel in channels])


def _sample_rectangle(
    scene: "mitsuba.Scene", integrator: "mitsuba.Integrator", pixels: NDArray[np.bool_], samples: int, seed: int
) -> Radiance:
    """The same by the film, which has just the smallest rectangle around the pixels for a moment."""
    rows, columns = (np.flatnonzero(pixels.any(axis)) for axis in (1, 0))
    top, left, bottom, right = int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1
    film = mitsuba.traverse(scene.sensors()[0])
    offset, size = list(film["film.crop_offset"]), list(film["film.crop_size"])
    film["film.crop_offset"] = [offset[0] + left, offset[1] + top]
    film["film.crop_size"] = [right - left, bottom - top]
    film.update()
    seeds = [(seed + 7919 * group) % 2**31 for group in range(GROUPS)]
    shots = [np.array(mitsuba.render(scene, integrator=integrator, spp=samples // GROUPS, seed=one)) for one in seeds]
    film["film.crop_offset"], film["film.crop_size"] = offset, size
    film.update()
    means = _repaired(np.stack(shots).astype(np.float32))
    groups = np.zeros((GROUPS, *pixels.shape, means.shape[-1]), np.float32)
    groups[:, top:bottom, left:right] = means
    return groups * pixels[..., None]


def _mean(values: Radiance) -> Radiance:
    """Mean over the last axis of what is finite; a sample that is not a number counts as black."""
    return np.asarray(np.where(np.isfinite(values), values, 0).mean(-1), np.float32)


def _repaired(groups: Radiance) -> Radiance:
    """Groups whose pixels that are not numbers have the mean of the other groups."""
    finite = np.isfinite(groups)
    if finite.all():
        return groups
    known = np.where(finite, groups, 0).sum(0) / np.maximum(finite.sum(0), 1)
    return np.where(finite, groups, known[None]).astype(np.float32)
