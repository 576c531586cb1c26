"""Renderings made like photographs."""

import random

import numpy as np
import pytest
from PIL import Image

from datamodules.samples.decoding import Triplet
from datamodules.samples.photographs import CHANGES, Camera, draw_camera, draw_texture, photographed, take, textured


def grey(value: int = 128, size: int = 64) -> Image.Image:
    return Image.new("RGB", (size, size), (value,) * 3)


def triplet(bare: bool = True) -> Triplet:
    mask = Image.new("L", (64, 64))
    mask.paste(255, (16, 16, 48, 48))
    return Triplet(grey(100), mask, grey(), mask, (16, 16, 48, 48), "ring", "k", bare=grey() if bare else None)


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float64)


def noise() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_camera_without_changes_leaves_every_pixel() -> None:
    camera = draw_camera(random.Random(1), ())
    assert camera == Camera() and take(grey(37), camera, noise()).tobytes() == grey(37).tobytes()
    same = photographed(triplet(), 5, ())
    assert same.person.tobytes() == triplet().person.tobytes() and same.ornament.tobytes() == grey(100).tobytes()


def test_tones_are_multiplied_and_then_raised() -> None:
    image = take(grey(51), Camera(gains=(2.0, 1.0, 8.0), exponent=2.0), noise())
    # (0.2 * 2) ** 2 = .16, .2 ** 2 = .04, and 1.6 is white
    assert image.getpixel((0, 0)) == (41, 10, 255)


def test_blur_noise_and_compression_change_what_they_should() -> None:
    edge = grey(0)
    edge.paste((255, 255, 255), (32, 0, 64, 64))
    blurred = pixels(take(edge, Camera(blur=2 / 64), noise()))
    assert 0 < blurred[32, 31, 0] < 128 < blurred[32, 32, 0] < 255 and blurred[32, 10, 0] == 0
    noisy = pixels(take(grey(), Camera(noise=0.1), noise()))
    assert noisy.mean() == pytest.approx(128, abs=1) and noisy.std() == pytest.approx(25.5, rel=0.05)
    coarse, fine = (pixels(take(edge, Camera(quality=quality), noise())) for quality in (5, 95))
    assert np.abs(coarse - pixels(edge)).mean() > np.abs(fine - pixels(edge)).mean()


def test_a_pattern_has_mean_0_and_multiplies_the_colours() -> None:
    pattern = draw_texture((48, 32), random.Random(0))
    assert pattern.shape == (32, 48, 1) and abs(pattern.mean()) < 1e-4 and pattern.std() > 0
    image = textured(grey(100), np.full((64, 64, 1), 0.5, np.float32))
    assert image.getpixel((3, 3)) == (150, 150, 150)


def test_person_and_bare_person_are_one_camera_s_and_the_ornament_another_s() -> None:
    changed = photographed(triplet(), 7, ("white_balance", "exposure", "contrast"))
    assert changed.bare is not None and changed.person.tobytes() == changed.bare.tobytes()
    shift = [pixels(image)[0, 0] / value for image, value in ((changed.person, 128), (changed.ornament, 100))]
    assert np.abs(shift[0] - shift[1]).max() > 0.02
    assert photographed(triplet(bare=False), 7).bare is None


def test_the_body_s_pattern_is_not_on_the_ornament() -> None:
    changed = photographed(triplet(), 3, ("texture",))
    inside, bare = pixels(changed.person)[20:44, 20:44], pixels(changed.bare)
    assert (inside == 128).all() and pixels(changed.person)[:12].std() > 0 and bare[20:44, 20:44].std() > 0
    np.testing.assert_array_equal(bare[:12], pixels(changed.person)[:12])


def test_the_result_depends_on_the_seed_alone_and_every_change_shows() -> None:
    one, two, other = (photographed(triplet(), seed) for seed in (1, 1, 2))
    assert one.person.tobytes() == two.person.tobytes() != other.person.tobytes()
    rich = triplet()._replace(person=Image.effect_noise((64, 64), 60).convert("RGB"))
    for change in CHANGES:
        changed = [photographed(rich, seed, (change,)).person.tobytes() != rich.person.tobytes() for seed in range(8)]
        assert any(changed), change
