import numpy as np
import pytest

pytest.importorskip("numba")

from datamodules.rendering.renderer.rasterization import rasterize

CORNERS = np.array([[0, 0, 1], [8, 0, 1], [0, 8, 4], [0, 0, 2], [8, 0, 2], [0, 8, 2], [0, 8, -1]], np.float32)


def empty() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.full((4, 4), np.inf, np.float32), np.full((4, 4), -1), np.zeros((4, 4, 3), np.float32)


def test_the_nearest_triangle_wins_and_depths_are_in_perspective() -> None:
    depths, numbers, weights = empty()
    rasterize(depths, CORNERS, np.array([[0, 1, 2], [3, 4, 5]]), numbers, weights, 10)
    image = np.array([1 - 0.5 / 8 - 3.5 / 8, 0.5 / 8, 3.5 / 8])
    inverse = image / np.array([1, 1, 4])
    np.testing.assert_allclose(depths[3, 0], 1 / inverse.sum(), rtol=1e-6)
    np.testing.assert_allclose(weights[3, 0], inverse / inverse.sum(), rtol=1e-6)
    assert (numbers == 10).all(), "the first lies before the second wherever both are seen"


def test_depths_are_the_same_where_nobody_asks_which_triangle() -> None:
    (depths, numbers, weights), alone = empty(), empty()[0]
    faces = np.array([[3, 4, 5], [0, 1, 2]])
    rasterize(depths, CORNERS, faces, numbers, weights)
    rasterize(alone, CORNERS, faces)
    assert np.array_equal(depths, alone) and np.isfinite(alone).any()


def test_a_triangle_that_reaches_behind_the_camera_and_one_without_area_are_left_out() -> None:
    depths, _, _ = empty()
    rasterize(depths, CORNERS, np.array([[0, 1, 6], [0, 1, 1]]))
    assert np.isinf(depths).all()
