import numpy as np
import pytest

from datamodules.rendering.geometry.meshes import signed_volume
from datamodules.rendering.ornaments.catalogue import CUTS, PENDANTS, PendantDesign
from datamodules.rendering.ornaments.pendants import WIDTH, pendant
from datamodules.rendering.ornaments.shapes import OUTLINES, faceted_bead, plate
from datamodules.rendering.ornaments.stones import collet, gem, half_height, set_stone


@pytest.mark.parametrize("cut", CUTS)
def test_stones_are_convex_with_flat_faces_outwards(cut: str) -> None:
    mesh = gem(cut)
    corners = mesh.vertices.astype(float)[mesh.faces]
    normals = mesh.normals[mesh.faces]
    assert np.ptp(normals, axis=1) == pytest.approx(0)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (across * normals[:, 0]).sum(1).min() > -1e-9
    heights = np.einsum("vj,fj->vf", mesh.vertices, normals[:, 0]) - (corners[:, 0] * normals[:, 0]).sum(1)
    assert heights.max() < 1e-5
    assert signed_volume(mesh) > 0.5


@pytest.mark.parametrize("cut", CUTS)
def test_stones_have_the_size_that_is_said(cut: str) -> None:
    points = gem(cut).vertices
    assert np.abs(points[:, 1]).max() == pytest.approx(half_height(cut), abs=0.04)
    assert np.abs(points[:, 0]).max() <= 1.001 and points[:, 2].max() == pytest.approx(0.34)


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("setting", ["prong", "bezel"])
def test_settings_hold_one_stone_from_outside(cut: str, setting: str) -> None:
    parts = set_stone("gold", "ruby", cut, setting)
    meshes = parts.meshes()
    assert set(meshes) == {"gold", "ruby"} and parts.counted() == {"stones": 1}
    metal, stone = meshes["gold"].vertices, meshes["ruby"].vertices
    assert np.abs(metal[:, 1]).max() > 0.95 * np.abs(stone[:, 1]).max() * (0.6 if setting == "prong" else 1.0)
    assert signed_volume(meshes["gold"]) > 0


def test_collets_are_around_their_stone() -> None:
    meshes = collet("gold", "diamond").meshes()
    assert np.linalg.norm(meshes["gold"].vertices[:, :2], axis=1).min() > 0.9


@pytest.mark.parametrize("shape", OUTLINES)
def test_plates_are_closed_and_of_unit_size(shape: str) -> None:
    mesh = plate(shape)
    assert signed_volume(mesh) > 0.02
    assert 0.85 < np.abs(mesh.vertices[:, :2]).max() <= 1.2
    assert np.abs(mesh.vertices[:, 2]).max() == pytest.approx(0.14, rel=0.01)


@pytest.mark.parametrize("kind", PENDANTS)
def test_pendants_hang_below_their_bail_and_are_not_too_wide(kind: str) -> None:
    parts = pendant(PendantDesign(kind, "oval", "ruby", "diamond"), "gold")
    points = np.concatenate([mesh.vertices for mesh in parts.meshes().values()])
    assert points[:, 1].max() < 0.1 and points[:, 1].min() < -0.7
    assert np.ptp(points[:, 0]) <= WIDTH
    assert parts.counted()["pendants"] == 1
    assert parts.counted().get("stones", 0) == {"pearl": 0, "halo": 15}.get(kind, 1)


def test_faceted_beads_are_nearly_round() -> None:
    assert np.linalg.norm(faceted_bead().vertices, axis=1) == pytest.approx(1, abs=1e-5)
