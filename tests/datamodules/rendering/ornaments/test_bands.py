from collections import Counter

import numpy as np
import pytest

from datamodules.rendering.geometry.meshes import Mesh, signed_volume
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments import Design
from datamodules.rendering.ornaments.bands import OPENING, closed_band, cuff, ellipse, open_band, twist

FIT = Fit(0.08, inner_radius=0.35, ellipticity=0.72)


def distance_to_ellipse(points: np.ndarray, fit: Fit) -> np.ndarray:
    around = ellipse(fit, 0.0, np.linspace(0, 2 * np.pi, 720))[:, :2]
    inside = (points[:, 0] / fit.inner_radius) ** 2 + (points[:, 1] / fit.inner_radius / fit.ellipticity) ** 2 < 1
    nearest = np.linalg.norm(points[:, None, :2] - around, axis=2).min(1)
    return np.where(inside, -nearest, nearest)


def edges(mesh: Mesh) -> Counter[tuple[int, int]]:
    faces = mesh.faces.astype(int)
    return Counter(map(tuple, np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()))


def test_a_cuff_is_one_watertight_piece_that_faces_outwards() -> None:
    mesh = open_band(FIT, 0.07, 0.03)
    between = edges(mesh)
    assert all(number == 1 and between[end, start] == 1 for (start, end), number in between.items())
    assert signed_volume(mesh) > 0
    assert np.abs(np.linalg.norm(mesh.normals, axis=1) - 1).max() < 1e-4


def test_a_cuff_fits_its_ellipse_and_is_open_at_the_back() -> None:
    points = open_band(FIT, 0.07, 0.03).vertices[::2].astype(float)
    outside = distance_to_ellipse(points, FIT)
    assert -0.002 < outside.min() < 0.004 and outside.max() == pytest.approx(0.06, abs=0.004)
    angles = np.arctan2(points[:, 1] / FIT.ellipticity, points[:, 0])
    from_back = np.abs((angles + np.pi / 2 + np.pi) % (2 * np.pi) - np.pi)
    assert from_back.min() > OPENING - 0.05
    assert points[:, 1].max() > 0.25


def test_the_ends_of_a_cuff_are_round() -> None:
    points = open_band(FIT, 0.07, 0.03).vertices.reshape(-1, 3)[: 160 * 24].reshape(160, 24, 3)
    widths, heights = np.ptp(points[..., 2], axis=1), np.linalg.norm(points.max(1) - points.min(1), axis=1)
    assert widths[0] < 0.15 * widths[80] and widths[-1] < 0.15 * widths[80]
    assert widths[80] == pytest.approx(0.14, rel=0.01)
    assert (np.diff(widths[:60]) > -1e-4).all()
    assert heights.min() > 0.005


@pytest.mark.parametrize("radius", np.linspace(0.3, 0.45, 12))
def test_cuffs_of_any_size_are_finite(radius: float) -> None:
    mesh = open_band(Fit(0.08, inner_radius=float(radius), ellipticity=0.7), 0.06, 0.02)
    assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.normals).all()


def test_beads_sit_on_both_ends_of_a_cuff() -> None:
    parts = cuff(Design("bracelet", "cuff", "gold", bead="onyx"), FIT)
    assert parts.counted() == {"beads": 2}
    beads = parts.meshes()["onyx"].vertices
    left, right = beads[beads[:, 0] < 0].mean(0), beads[beads[:, 0] > 0].mean(0)
    assert left == pytest.approx(right * [-1, 1, 1], abs=1e-3) and left[1] < -0.2


def test_a_closed_band_touches_its_inner_ellipse() -> None:
    mesh = closed_band(FIT, 0.05, 0.02)
    outside = distance_to_ellipse(mesh.vertices[::3].astype(float), FIT)
    assert -0.002 < outside.min() < 0.002 and outside.max() == pytest.approx(0.04, abs=0.002)
    assert np.ptp(mesh.vertices[:, 2]) == pytest.approx(0.1, rel=0.01)


def test_twisted_wires_stay_outside_and_are_counted() -> None:
    parts = twist(Design("bracelet", "twist", "gold", strands=3, turns=9, accent="silver"), FIT)
    assert parts.counted() == {"strands": 3} and set(parts.meshes()) == {"gold", "silver"}
    for mesh in parts.meshes().values():
        assert distance_to_ellipse(mesh.vertices[::7].astype(float), FIT).min() > -0.002
