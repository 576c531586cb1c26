"""From a number to the entries of a shard, small and coarse, with the variant that every machine has."""

import hashlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mitsuba")
from PIL import Image

from datamodules.rendering.appearance.lights import Dome
from datamodules.rendering.appearance.looks import Look
from datamodules.rendering.composition import CATEGORIES, Recipe, compose
from datamodules.rendering.geometry.meshes import Mesh
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.ornaments import design_split
from datamodules.rendering.renderer.denoising import denoise
from datamodules.rendering.renderer.masks import Window, draw_masks
from datamodules.rendering.renderer.scene import SLOTS, Part, load_scene, worn_parts
from datamodules.rendering.renderer.tracing import View, features, trace
from datamodules.rendering.triplet import render_triplet
from datamodules.rendering.variants import Variant, activate
from datamodules.samples.decoding import decode, describe

WHITE = Dome(np.ones((8, 16, 3), np.float32), {})
SMALL = Recipe(seed=3, size=32, samples_per_pixel=4, detail=0.3)
RENDER = """
import hashlib, sys
from datamodules.rendering.composition import Recipe
from datamodules.rendering.variants import Variant, activate  # noqa: E402
activate(Variant("scalar_rgb"))
from datamodules.rendering.triplet import render_triplet
recipe = Recipe(seed=3, size=32, samples_per_pixel=4, detail=0.3)
for index in map(int, sys.argv[1:]):
    entries = render_triplet(index, recipe).entries
    print(index, hashlib.sha256(b"".join(entries[name] for name in sorted(entries))).hexdigest())
"""


@pytest.fixture(autouse=True, scope="module")
def scalar():
    activate(Variant("scalar_rgb"))


@pytest.fixture(scope="module")
def composition():
    return compose(1, SMALL)


@pytest.fixture(scope="module")
def rendered():
    return render_triplet(1, SMALL)


def digests(*indices):
    words = [sys.executable, "-c", RENDER, *map(str, indices)]
    lines = subprocess.run(words, capture_output=True, text=True, check=True, env=os.environ).stdout.split()
    return dict(zip(lines[::2], lines[1::2], strict=True))


def test_a_triplet_has_what_the_loader_reads(rendered):
    sample = {"__key__": "train-000001", "__url__": "here", **rendered.entries}
    triplet = decode(sample, describe(sample))
    assert triplet.category == "ring"
    assert triplet.person.size == triplet.ornament.size == (32, 32)
    mask = np.asarray(triplet.wearing_mask)
    assert mask.max() == 255 and mask.min() == 0
    x0, y0, x1, y1 = (int(edge) for edge in triplet.box)
    assert (mask > 127)[y0:y1, x0:x1].sum() == (mask > 127).sum() > 0.012 * 32 * 32


def test_the_metadata_tell_all_that_was_drawn(rendered):
    metadata = json.loads(rendered.entries["json"])
    assert metadata["type"] == "ring" and metadata["split"] == "train"
    assert metadata["variant"] == "scalar_rgb" and metadata["mitsuba"]
    assert all(isinstance(count, int) and count >= 0 for count in metadata["components"].values())
    assert 0.4 <= metadata["visible_fraction"] <= 1
    assert metadata["design"]["kind"] == metadata["kind"]
    assert metadata["rejected"] == ", ".join(rendered.rejected)
    x, y, side = metadata["crop"]
    assert 0 <= x <= 1 - side + 1e-4 and 0 <= y <= 1 - side + 1e-4


def test_pictures_are_neither_black_nor_white(rendered):
    for name in ("ornament.jpg", "person.jpg"):
        picture = np.asarray(Image.open(io.BytesIO(rendered.entries[name])))
        assert 20 < picture.mean() < 235 and picture.std() > 5


@pytest.mark.slow
def test_the_bytes_are_the_same_in_another_process_and_order(rendered):
    here = hashlib.sha256(b"".join(rendered.entries[name] for name in sorted(rendered.entries))).hexdigest()
    forwards, backwards = digests(0, 1, 2), digests(2, 1)
    assert forwards["1"] == backwards["1"] == here
    assert forwards["2"] == backwards["2"]
    assert len(set(forwards.values())) == 3


@pytest.mark.slow
def test_a_bare_picture_differs_at_the_ornament_only():
    entries = render_triplet(1, replace(SMALL, samples_per_pixel=64, bare=True)).entries
    person, bare, mask = (
        np.asarray(Image.open(io.BytesIO(entries[name]))).astype(float)
        for name in ("person.jpg", "bare.jpg", "wearing_mask.png")
    )
    difference = np.abs(person - (bare if bare.ndim == 3 else bare[..., None])).mean(-1)
    assert difference[mask > 200].mean() > 4 * difference[mask == 0].mean()


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_set_has_only_designs_of_its_split(split):
    for index in (1, 2):
        drawn = compose(index, replace(SMALL, split=split))
        assert design_split(drawn.design) == split
        assert drawn.design.category == CATEGORIES[index]
        assert drawn.visible_fraction >= 0.4


def test_a_composition_does_not_depend_on_what_was_drawn_before():
    first = compose(2, SMALL)
    compose(6, SMALL)
    again = compose(2, SMALL)
    assert first.design == again.design and first.window == again.window
    np.testing.assert_array_equal(first.masks.visible, again.masks.visible)


def test_the_window_is_about_twice_the_ornament_or_the_whole_scene():
    part, whole = compose(1, SMALL), compose(1, replace(SMALL, whole_scene=True))
    rows, columns = np.nonzero(part.masks.visible > 0.3)
    extent = max(np.ptp(rows), np.ptp(columns)) + 1
    assert part.window.whole == 32 or 32 / 2.6 < extent < 32 / 1.4
    assert whole.window == Window(0, 0, 32, 32)


def test_masks_agree_with_what_is_rendered(composition):
    camera, window = composition.worn.camera, composition.window
    with_it = View(load_scene(worn_parts(composition.worn, composition.look), WHITE, camera, window), window)
    depth_with = features(with_it, 0)[..., 6]
    bare = [part for part in worn_parts(composition.worn, composition.look) if part.slot in ("skin", "nail", "ground")]
    depth_without = features(View(load_scene(bare, WHITE, camera, window), window), 0)[..., 6]
    changed = np.abs(depth_with - depth_without) > 1e-3 * depth_without
    mask = composition.masks.visible
    assert changed[mask > 0.9].mean() > 0.95
    assert changed[mask == 0].mean() < 0.05


def test_a_white_room_lights_a_white_surface_with_its_own_radiance():
    square = np.array([[-5, -5, 0], [5, -5, 0], [5, 5, 0], [-5, 5, 0]], np.float32)
    normals = np.tile(np.array([0, 0, 1], np.float32), (4, 1))
    mesh = Mesh(square, normals, np.array([[0, 1, 2], [0, 2, 3]], np.uint32))
    camera = Camera(np.zeros(3), np.array([0, 0, 1.0]), np.array([0, 1.0, 0]), 2.0, 30.0)
    bsdf = {"type": "diffuse", "reflectance": {"type": "rgb", "value": [0.5, 0.5, 0.5]}}
    dome = Dome(np.full((16, 32, 3), 2.0, np.float32), {})
    view = View(load_scene([Part("cloth", mesh, bsdf)], dome, camera, Window(0, 0, 8, 8)), Window(0, 0, 8, 8))
    estimate = trace(view, np.zeros((8, 8), bool), 64, 64, 1)
    np.testing.assert_allclose(estimate.groups.mean((0, 1, 2)), 1.0, rtol=0.02)
    assert estimate.samples.min() == estimate.samples.max() == 64


def test_important_pixels_get_more_samples_and_less_noise(composition):
    camera, window = composition.worn.camera, composition.window
    dome = Dome(np.random.default_rng(0).uniform(0, 4, (16, 32, 3)).astype(np.float32), {})
    view = View(load_scene(worn_parts(composition.worn, composition.look), dome, camera, window), window)
    left = np.zeros((32, 32), bool)
    left[:, :16] = True
    estimate = trace(view, left, 64, 4, 1)
    assert estimate.samples[:, :16].min() == 64 and estimate.samples[:, 16:].max() == 4
    plain = trace(view, ~left & False, 4, 4, 1)
    np.testing.assert_array_equal(estimate.groups[:, :, 16:], plain.groups[:, :, 16:])
    assert estimate.groups.var(0)[:, :16].mean() < 0.5 * plain.groups.var(0)[:, :16].mean()


def test_too_many_surfaces_of_a_slot_are_refused(composition):
    parts = worn_parts(composition.worn, Look())
    ground = [part for part in parts if part.slot == "ground"]
    with pytest.raises(ValueError, match=f"room for {SLOTS['ground']} surfaces of ground, got 2"):
        load_scene([*parts, *ground], WHITE, composition.worn.camera, Window(0, 0, 8, 8))


def test_a_sample_that_is_not_a_number_does_not_spread():
    from datamodules.rendering.renderer.tracing import _mean, _repaired

    groups = np.ones((4, 8, 8, 3), np.float32)
    groups[1, 2, 3] = np.nan
    groups[2, 4, 4] = np.inf
    np.testing.assert_array_equal(_repaired(groups), 1)
    np.testing.assert_array_equal(_mean(np.array([[1, np.nan, 2, 1]], np.float32)), [1])
    assert np.isfinite(denoise(_repaired(groups), np.ones((8, 8, 7), np.float32), np.zeros((8, 8), np.float32))).all()


def test_masks_of_a_laid_ornament_are_whole():
    composition = compose(0, SMALL)
    again = draw_masks(composition.laid.ornament, {}, composition.laid.camera, composition.laid_window)
    np.testing.assert_array_equal(again.visible, composition.laid_masks.visible)
    assert again.visible_fraction == 1
    border = np.concatenate([again.visible[0], again.visible[-1], again.visible[:, 0], again.visible[:, -1]])
    assert border.max() == 0
