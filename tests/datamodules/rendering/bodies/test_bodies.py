import hashlib
import subprocess
import sys

import numpy as np
import pytest

from datamodules.rendering.bodies import Body, Bust, EarSide, Hand, draw_body, draw_tone
from datamodules.rendering.bodies.skin import TONES
from datamodules.rendering.geometry.fields import evaluate

CATEGORIES = ("bracelet", "ring", "earring", "necklace")
COARSE = 0.3


def digest(body: Body) -> str:
    """Checksum of everything that is drawn about a body."""
    sums = hashlib.sha256(body.field.values.tobytes())
    for name in sorted(body.surfaces):
        mesh = body.surfaces[name]
        for array in (mesh.vertices, mesh.normals, mesh.faces):
            sums.update(array.tobytes())
    sums.update(body.pigment.brightness.tobytes())
    return sums.hexdigest()


@pytest.mark.parametrize("category", CATEGORIES)
def test_bodies_have_surfaces_that_face_outwards(category: str) -> None:
    body = draw_body(category, 0, COARSE)
    for mesh in body.surfaces.values():
        assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)
        assert np.abs(np.linalg.norm(mesh.normals, axis=1) - 1).max() < 1e-4
        corners = mesh.vertices[mesh.faces]
        across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        assert ((across * mesh.normals[mesh.faces].mean(1)).sum(1) < -1e-9).mean() < 0.02


@pytest.mark.parametrize("category", CATEGORIES)
def test_the_skin_is_where_the_field_is_zero(category: str) -> None:
    body = draw_body(category, 0, COARSE)
    low, high = body.field.low + 0.1, body.field.low + body.field.step * (np.array(body.field.values.shape) - 1) - 0.1
    skin = body.surfaces["skin"].vertices
    distances = body.field.distance(skin[np.all((skin > low) & (skin < high), axis=1)])
    assert np.quantile(distances, 0.9) < 0.02
    assert np.abs(np.quantile(distances, 0.6 if category != "necklace" else 0.95)) < 0.05


def test_landmarks_lie_on_the_body() -> None:
    hand, side, bust = (draw_body(category, 1, COARSE) for category in ("ring", "earring", "necklace"))
    assert isinstance(hand, Hand) and isinstance(side, EarSide) and isinstance(bust, Bust)
    for finger in hand.fingers:
        assert hand.field.distance(finger.joints[2:]).max() < 0
    assert abs(side.field.distance(side.piercing[None])[0]) < 0.02
    assert evaluate(hand.arm, np.array([[-0.4, 0, 0], [-0.4, 1.0, 0]])) == pytest.approx([-0.2, 0.65], abs=0.15)
    assert 0.4 < bust.neck_radius < 0.6


def test_bodies_are_the_same_in_every_process() -> None:
    code = (
        "import importlib.util, sys; spec = importlib.util.spec_from_file_location('bodies_test', sys.argv[1]);"
        "module = importlib.util.module_from_spec(spec); spec.loader.exec_module(module);"
        "print(module.digest(module.draw_body('necklace', 3, 0.3)))"
    )
    process = subprocess.run([sys.executable, "-c", code, __file__], capture_output=True, text=True, check=True)
    draw_body.cache_clear()
    here = digest(draw_body("necklace", 3, COARSE))
    assert process.stdout.strip() == here
    assert here != digest(draw_body("necklace", 4, COARSE))


def test_tones_colour_the_skin_and_nothing_else() -> None:
    body = draw_body("ring", 0, COARSE)
    light, dark = body.painted(TONES[0]), body.painted(TONES[-1])
    assert light["skin"].colors is not None and dark["skin"].colors is not None
    assert light["skin"].colors.shape == light["skin"].vertices.shape
    assert light["skin"].colors.mean() > 4 * dark["skin"].colors.mean()
    assert 0 <= dark["skin"].colors.min() and light["skin"].colors.max() <= 1
    assert light["nail"].colors is None and body.surfaces["skin"].colors is None
    assert np.array_equal(light["skin"].vertices, dark["skin"].vertices)


def test_drawn_tones_are_colours() -> None:
    tones = np.array([draw_tone(np.random.default_rng(seed)) for seed in range(50)])
    assert tones.shape == (50, 3) and tones.min() >= 0.05 and tones.max() <= 0.97
    assert (tones[:, 0] > tones[:, 2]).all()


def test_unknown_categories_are_refused() -> None:
    with pytest.raises(ValueError, match="category must be bracelet, ring, earring or necklace, got 'hat'"):
        draw_body("hat", 0)
    with pytest.raises(ValueError, match="detail must be positive"):
        draw_body("ring", 0, 0.0)
