import numpy as np
import pytest

from datamodules.rendering.geometry.fields import DistanceField, evaluate, sample_field, surface_mesh
from datamodules.rendering.geometry.meshes import signed_volume
from datamodules.rendering.geometry.sdf import ellipsoid

LOW, HIGH = np.array([-1.0, -1, -1]), np.array([1.0, 1, 1])


def ball(points: np.ndarray) -> np.ndarray:
    return ellipsoid(points, [0.1, 0, 0], [0.5, 0.5, 0.5])


@pytest.fixture(scope="module")
def field() -> DistanceField:
    return sample_field(ball, LOW, HIGH, 0.04)


def test_looked_up_distances_are_those_of_the_solid(field: DistanceField) -> None:
    points = np.random.default_rng(0).uniform(-0.9, 0.9, (500, 3))
    exact = np.linalg.norm(points - [0.1, 0, 0], axis=1) - 0.5
    error = np.abs(field.distance(points) - exact)
    assert error.max() < 0.03
    assert error[np.abs(exact) < 0.1].max() < 0.002


def test_normals_point_away_from_the_solid(field: DistanceField) -> None:
    points = np.random.default_rng(1).uniform(-0.9, 0.9, (500, 3))
    away = points - [0.1, 0, 0]
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    near = np.abs(np.linalg.norm(points - [0.1, 0, 0], axis=1) - 0.5) < 0.2
    assert (field.normal(points)[near] * away[near]).sum(1).min() > 0.99


def test_far_points_have_the_distance_of_the_border(field: DistanceField) -> None:
    assert field.distance(np.array([[9.0, 0, 0]])) == pytest.approx(field.distance(np.array([[1.08, 0, 0]])), abs=1e-3)


def test_the_surface_is_a_closed_ball_facing_outwards(field: DistanceField) -> None:
    mesh = surface_mesh(field, ball)
    assert signed_volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.01)
    assert np.linalg.norm(mesh.vertices - [0.1, 0, 0], axis=1) == pytest.approx(0.5, abs=0.002)
    assert ((mesh.vertices - [0.1, 0, 0]) / 0.5 * mesh.normals).sum(1).min() > 0.99


def test_pieces_do_not_change_what_is_evaluated() -> None:
    points = np.random.default_rng(2).uniform(-1, 1, (40_000, 3)).astype(np.float32)
    assert np.array_equal(evaluate(ball, points), ball(np.ascontiguousarray(points.T)))
    assert evaluate(ball, np.zeros((0, 3))).shape == (0,)
