import numpy as np
import pytest

pytest.importorskip("numba")
from datamodules.rendering.geometry.meshes import Mesh, grid_mesh
from datamodules.rendering.geometry.views import Camera
from datamodules.rendering.renderer.masks import Window, draw_masks, extent, project

CAMERA = Camera(np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]), 2.0, 20.0)
WHOLE = Window(0, 0, 64, 64)


def square(center: tuple[float, float, float], half: float) -> Mesh:
    corners = np.array([[(-1, -1), (-1, 1)], [(1, -1), (1, 1)]], float)
    points = np.concatenate([corners * half, np.zeros((2, 2, 1))], -1) + center
    return grid_mesh(points)


def sphere(center: tuple[float, float, float], radius: float) -> Mesh:
    theta, phi = np.meshgrid(np.linspace(0, np.pi, 60), np.linspace(0, 2 * np.pi, 120, endpoint=False), indexing="ij")
    points = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    return grid_mesh(points * radius + center, (False, True))


def test_the_target_is_in_the_middle_and_up_is_up():
    points = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], float)
    middle, right, up = project(points, CAMERA, WHOLE)
    np.testing.assert_allclose(middle[:2], 32, atol=1e-4)
    np.testing.assert_allclose(right[:2], (64, 32), atol=1e-4)
    np.testing.assert_allclose(up[:2], (32, 0), atol=1e-4)


def test_a_square_covers_its_share_of_the_picture():
    masks = draw_masks({"gold": square((0, 0, 0), 0.5)}, {}, CAMERA, WHOLE)
    assert extent(masks.visible) == (16, 16, 48, 48)
    assert masks.visible.mean() == pytest.approx(0.25, abs=1e-3)
    assert masks.visible_fraction == 1


def test_a_sphere_covers_what_its_outline_says():
    masks = draw_masks({"pearl": sphere((0, 0, 0), 0.5)}, {}, CAMERA, WHOLE)
    distance = 1 / np.tan(np.radians(10))
    tangent = 0.5 / np.sqrt(distance**2 - 0.25) * distance
    assert masks.visible.sum() / 64**2 == pytest.approx(np.pi * tangent**2 / 4, rel=0.01)


def test_what_the_body_hides_is_left_out_and_what_is_behind_the_ornament_is_not():
    ornament = {"gold": square((0, 0, 0), 0.5)}
    hidden = draw_masks(ornament, {"skin": square((0.5, 0, 0.2), 0.5)}, CAMERA, WHOLE)
    assert hidden.visible_fraction == pytest.approx(0.5, abs=0.03)
    assert extent(hidden.visible)[2] in range(31, 34)
    behind = draw_masks(ornament, {"skin": square((0, 0, -0.2), 0.9)}, CAMERA, WHOLE)
    assert behind.visible_fraction == 1


def test_an_ornament_behind_the_body_is_not_seen():
    masks = draw_masks({"gold": square((0, 0, 0), 0.3)}, {"skin": square((0, 0, 0.1), 0.9)}, CAMERA, WHOLE)
    assert masks.visible.max() == 0 and masks.full.max() == 1
    assert masks.visible_fraction == 0


def test_only_metal_and_cut_stones_are_sharp():
    ornament = {"gold": square((-0.5, 0, 0), 0.25), "pearl": square((0.5, 0, 0), 0.25)}
    masks = draw_masks(ornament, {}, CAMERA, WHOLE)
    assert masks.sharp[:, :32].sum() == masks.visible[:, :32].sum() > 0
    assert masks.sharp[:, 32:].sum() == 0


def test_a_window_is_a_part_of_the_whole_picture():
    ornament = {"gold": sphere((0.2, 0.1, 0), 0.4)}
    whole = draw_masks(ornament, {}, CAMERA, Window(0, 0, 64, 64)).visible
    part = draw_masks(ornament, {}, CAMERA, Window(16, 8, 40, 64)).visible
    np.testing.assert_allclose(part, whole[8:48, 16:56], atol=1 / 16 + 1e-6)


def test_an_empty_mask_has_no_extent():
    assert extent(np.zeros((8, 8), np.float32)) is None
