import numpy as np
import pytest

from datamodules.rendering.bodies.clipping import clip, hem
from datamodules.rendering.bodies.garment import NECKLINES, neckline_cut
from datamodules.rendering.geometry.fields import sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import Mesh, signed_volume
from datamodules.rendering.geometry.sdf import ellipsoid
from datamodules.rendering.geometry.tubes import resampled


def ball(points: np.ndarray) -> np.ndarray:
    return ellipsoid(points, [0, 0, 0], [0.8, 0.8, 0.8])


def wavy(points: np.ndarray) -> np.ndarray:
    return points[..., 2] - 0.2 - 0.1 * np.sin(5 * points[..., 0])


@pytest.fixture(scope="module")
def sphere() -> Mesh:
    return surface_mesh(sample_field(ball, np.full(3, -1.0), np.full(3, 1.0), 0.08), ball)


def test_the_cut_is_exact(sphere: Mesh) -> None:
    clipped, borders = clip(sphere, wavy)
    assert len(borders) == 1
    assert np.abs(wavy(borders[0])).max() < 1e-4
    assert wavy(clipped.vertices).max() < 1e-4
    assert np.abs(np.linalg.norm(clipped.normals, axis=1) - 1).max() < 1e-5


def test_the_border_is_one_smooth_closed_line(sphere: Mesh) -> None:
    _, borders = clip(sphere, lambda points: points[..., 2] - 0.2)
    around = resampled(borders[0], True, 60)
    angles = np.unwrap(np.arctan2(around[:, 1], around[:, 0]))
    assert abs(angles[-1] - angles[0]) == pytest.approx(2 * np.pi * 59 / 60, rel=0.02)
    assert np.linalg.norm(around[:, :2], axis=1) == pytest.approx(np.sqrt(0.8**2 - 0.2**2), abs=0.01)


def test_what_is_kept_keeps_its_side(sphere: Mesh) -> None:
    whole, _ = clip(sphere, lambda points: points[..., 2] - 5.0)
    assert len(whole.faces) == len(sphere.faces) and signed_volume(whole) == pytest.approx(signed_volume(sphere))
    half, _ = clip(sphere, lambda points: points[..., 2])
    corners = half.vertices[half.faces]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (across * half.normals[half.faces].mean(1)).sum(1).min() > -1e-7
    area = np.linalg.norm(across, axis=1).sum() / 2
    assert area == pytest.approx(2 * np.pi * 0.8**2, rel=0.02)


def test_a_hem_follows_the_border(sphere: Mesh) -> None:
    _, borders = clip(sphere, lambda points: points[..., 2] - 0.2)
    mesh = hem(borders[0], 0.03, 0.06)
    ring = np.hypot(np.linalg.norm(mesh.vertices[:, :2], axis=1) - np.sqrt(0.8**2 - 0.2**2), mesh.vertices[:, 2] - 0.2)
    assert ring == pytest.approx(0.03, abs=0.012)
    assert signed_volume(mesh) > 0


@pytest.mark.parametrize("neckline", NECKLINES)
def test_necklines_are_smooth_curves_below_the_neck(neckline: str) -> None:
    depth = float(np.mean(NECKLINES[neckline]))
    x = np.linspace(0, 1.0, 400)
    edge = -neckline_cut(neckline, depth)(np.stack([x, 0 * x, 0 * x], -1))
    assert edge[0] == pytest.approx(depth, abs=0.08)
    assert np.abs(np.diff(edge, 2)).max() < 0.01
