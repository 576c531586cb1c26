import numpy as np
import pytest

from datamodules.rendering.geometry.meshes import signed_volume
from datamodules.rendering.ornaments.parts import Parts, single
from datamodules.rendering.ornaments.shapes import sphere


def test_copies_of_parts_count_their_components() -> None:
    pair = single("pearl", sphere(), "beads")
    pair.add("gold", sphere())
    parts = Parts()
    parts.attach(pair, np.array([[0, 0, 0], [3, 0, 0], [6, 0, 0]]), scales=np.array([1.0, 0.5, 0.25]))
    parts.attach(pair, np.array([9.0, 0, 0]))
    assert parts.counted() == {"beads": 4}
    meshes = parts.meshes()
    assert list(meshes) == ["gold", "pearl"]
    assert signed_volume(meshes["pearl"]) == pytest.approx(signed_volume(sphere()) * (2 + 1 / 8 + 1 / 64), rel=1e-3)


def test_one_factor_for_each_axis() -> None:
    parts = Parts()
    parts.attach(single("gold", sphere()), np.zeros((3, 3)), scales=np.array([[1.0, 2.0, 3.0]]))
    assert np.ptp(parts.meshes()["gold"].vertices, axis=0) == pytest.approx([2, 4, 6], rel=0.02)


def test_three_copies_have_three_factors() -> None:
    parts = Parts()
    parts.attach(single("gold", sphere()), 10 * np.eye(3), scales=np.array([1.0, 2.0, 3.0]))
    points = parts.meshes()["gold"].vertices.reshape(3, -1, 3)
    assert np.ptp(points[:, :, 0], axis=1) == pytest.approx([2, 4, 6], rel=0.02)


def test_what_is_not_there_is_not_counted() -> None:
    assert single("gold", sphere()).counted() == {}
