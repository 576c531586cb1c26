import numpy as np
import pytest

from datamodules.rendering.geometry.sdf import (
    capsule,
    carve,
    ellipsoid,
    into_frame,
    rods,
    smooth_intersection,
    smooth_union,
)
from datamodules.rendering.geometry.vectors import rotation


def at(*points: tuple[float, float, float]) -> np.ndarray:
    return np.array(points, np.float32).T


def test_a_capsule_knows_its_distances() -> None:
    points = at((0, 1, 0), (-2, 0, 0), (5, 0, 0), (1, 0, 0))
    assert capsule(points, [0, 0, 0], [2, 0, 0], 0.5, 0.5) == pytest.approx([0.5, 1.5, 2.5, -0.5])


def test_a_capsule_may_taper() -> None:
    assert capsule(at((0, 1, 0), (2, 1, 0), (1, 1, 0)), [0, 0, 0], [2, 0, 0], 0.2, 0.6) == pytest.approx(
        [0.8, 0.4, 0.6]
    )


def test_an_ellipsoid_is_exact_where_it_is_a_sphere_and_zero_on_its_surface() -> None:
    assert ellipsoid(at((0, 3, 0), (0, 0, 0.5)), [0, 0, 0], [1, 1, 1]) == pytest.approx([2, -0.5])
    assert ellipsoid(at((1, 0, 0), (0, 2, 0), (0, 0, 3)), [0, 0, 0], [1, 2, 3]) == pytest.approx(0, abs=1e-6)


def test_unions_take_the_nearer_and_add_a_fillet() -> None:
    first, second = np.array([1.0, 0.1], np.float32), np.array([5.0, 0.1], np.float32)
    union = smooth_union(first, second, 0.4)
    assert union[0] == pytest.approx(1.0)
    assert union[1] == pytest.approx(0.1 - 0.4 / 4)
    assert smooth_intersection(first, second, 0.4) == pytest.approx([5.0, 0.1 + 0.4 / 4])


def test_carving_takes_the_tool_away() -> None:
    points = at((0, 0, 0), (0.9, 0, 0))
    left = carve(ellipsoid(points, [0, 0, 0], [1, 1, 1]), ellipsoid(points, [0, 0, 0], [0.5, 0.5, 0.5]), 0.01)
    assert left[0] > 0 > left[1]


def test_rods_reach_from_joint_to_joint() -> None:
    joints = [[0, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert rods(at((0.5, 0, 0.3), (1, 0.8, -0.3)), joints, [0.1, 0.1, 0.1], 0.01) == pytest.approx([0.2, 0.2])


def test_frames_turn_points_into_their_axes() -> None:
    axes = rotation([0, 0, 1], np.pi / 2)
    assert into_frame(at((1, 2, 0)), [1, 1, 0], axes)[:, 0] == pytest.approx([1, 0, 0], abs=1e-6)
