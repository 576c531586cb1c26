from collections import Counter

import numpy as np
import pytest

from datamodules.rendering.geometry.meshes import Mesh, copies, grid_mesh, merge, moved, outwards, signed_volume
from datamodules.rendering.geometry.tubes import circle, lathe, tube
from datamodules.rendering.geometry.vectors import rotation
from datamodules.rendering.ornaments.shapes import link, sphere


def is_watertight(mesh: Mesh) -> bool:
    """Whether each edge lies between two faces that pass it in opposite directions."""
    faces = mesh.faces.astype(int)
    edges = Counter(map(tuple, np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).tolist()))
    return all(number == 1 and edges[end, start] == 1 for (start, end), number in edges.items())


def test_closed_and_open_tubes_are_watertight() -> None:
    straight = np.linspace([0.0, 0, 0], [3.0, 0, 0], 20)
    assert is_watertight(tube(circle(1.0, 40), 0.2, closed=True))
    assert is_watertight(tube(straight, 0.2))
    assert is_watertight(link(0.7, 0.1))


def test_a_tube_has_the_volume_of_its_capsule() -> None:
    straight = np.linspace([0.0, 0, 0], [3.0, 0, 0], 20)
    volume = signed_volume(tube(straight, 0.2, sides=64))
    assert volume == pytest.approx(np.pi * 0.2**2 * 3 + 4 / 3 * np.pi * 0.2**3, rel=0.03)


def test_a_ring_has_the_volume_of_a_torus() -> None:
    assert signed_volume(tube(circle(1.0, 200), 0.2, closed=True, sides=64)) == pytest.approx(
        2 * np.pi**2 * 0.2**2, rel=0.01
    )


def test_a_sphere_has_its_volume_and_normals_point_outwards() -> None:
    mesh = sphere(96, 64)
    assert signed_volume(mesh) == pytest.approx(4 / 3 * np.pi, rel=0.005)
    assert (mesh.normals * mesh.vertices).sum(1).min() > 0.99


def test_a_turned_profile_is_a_cylinder_with_faces_outwards() -> None:
    mesh = lathe([[0.0, 0.0], [0.5, 0.0], [0.5, 2.0], [0.0, 2.0]], 96)
    assert signed_volume(mesh) == pytest.approx(np.pi * 0.5**2 * 2, rel=0.01)


def test_faces_and_normals_are_turned_outwards() -> None:
    mesh = sphere()
    inside_out = mesh._replace(faces=np.ascontiguousarray(mesh.faces[:, ::-1]), normals=-mesh.normals)
    turned = outwards(inside_out)
    assert signed_volume(turned) > 0 and (turned.normals * turned.vertices).sum(1).min() > 0.9
    only_normals = outwards(mesh._replace(normals=-mesh.normals))
    assert (only_normals.normals * only_normals.vertices).sum(1).min() > 0.9


def test_copies_have_their_places_sizes_and_faces_outwards() -> None:
    mirrored = np.diag([1.0, 1.0, -1.0])
    axes = np.stack([np.eye(3), mirrored])
    positions, scales = np.array([[0.0, 0, 0], [5.0, 0, 0]]), np.array([[1.0, 1, 1], [2.0, 2, 1]])
    both = copies(sphere(), positions, axes, scales)
    half = len(both.vertices) // 2
    second = Mesh(both.vertices[half:], both.normals[half:], both.faces[len(both.faces) // 2 :] - np.uint32(half))
    assert second.vertices.mean(0) == pytest.approx([5, 0, 0], abs=0.01)
    assert np.ptp(second.vertices, axis=0) == pytest.approx([4, 4, 2], abs=0.1)
    assert signed_volume(second) == pytest.approx(4 * signed_volume(sphere()), rel=1e-3)
    assert np.abs(np.linalg.norm(both.normals, axis=1) - 1).max() < 1e-5


def test_normals_of_stretched_copies_stay_at_right_angles() -> None:
    stretched = copies(sphere(48, 32), np.zeros((1, 3)), np.eye(3)[None], np.array([[3.0, 1, 1]]))
    expected = stretched.vertices / [9, 1, 1]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.abs(stretched.normals - expected).max() < 1e-4


def test_merging_keeps_every_face() -> None:
    two = merge([sphere(), moved(sphere(), np.array([3.0, 0, 0]), rotation([0, 0, 1], 1.0))])
    assert signed_volume(two) == pytest.approx(2 * signed_volume(sphere()), rel=1e-4)
    assert two.faces.max() == len(two.vertices) - 1
    assert two.vertices.dtype == np.float32 and two.faces.dtype == np.uint32


def test_a_grid_has_two_faces_a_cell() -> None:
    points = np.zeros((4, 5, 3))
    points[..., 0], points[..., 1] = np.meshgrid(np.arange(4), np.arange(5), indexing="ij")
    assert len(grid_mesh(points).faces) == 2 * 3 * 4
    assert len(grid_mesh(points, (True, True)).faces) == 2 * 4 * 5
    assert grid_mesh(points).normals == pytest.approx(np.tile([0, 0, 1.0], (20, 1)))
