import numpy as np
import pytest

from datamodules.rendering.geometry.tubes import arc_lengths, circle
from datamodules.rendering.geometry.vectors import Y, Z
from datamodules.rendering.geometry.views import Fit
from datamodules.rendering.ornaments.curves import Curve, Frames, Hook, Strand, hook, nearest_to, turned
from datamodules.rendering.ornaments.designs import Design
from datamodules.rendering.ornaments.strands import beads, chain, charm_places, graduated, row_of_stones


def hang(frames: Frames, size: float, back: float) -> Hook:
    return hook(frames.positions[0], Y, Z)


def strand(length: float, front: float = 0.0) -> Strand:
    points = circle(1.0, 180)
    points = points * length / arc_lengths(points, True)[-1]
    return Strand(Curve(points, np.tile(Z, (180, 1))), front, hang)


def test_a_curve_has_its_length_and_frames_at_right_angles() -> None:
    curve = strand(3.0).curve
    assert curve.length == pytest.approx(3.0)
    frames = curve.at(np.array([0.0, 0.75, 3.0, 3.75]))
    assert frames.positions[0] == pytest.approx(frames.positions[2])
    assert frames.along[1] == pytest.approx([-1, 0, 0], abs=0.02)
    axes = turned(frames, np.array([0.0, 0.3, 0.6, 0.9]))
    assert np.einsum("nij,nik->njk", axes, axes) == pytest.approx(np.tile(np.eye(3), (4, 1, 1)), abs=1e-6)
    assert np.linalg.det(axes) == pytest.approx(1)


def test_the_front_is_where_a_curve_reaches_farthest() -> None:
    curve = strand(3.0).curve
    assert curve.at(np.array([nearest_to(curve, Y)])).positions[0] == pytest.approx([0, 3 / (2 * np.pi), 0], abs=0.02)


def test_beads_fill_the_curve_and_do_not_overlap() -> None:
    fit = Fit(0.05, length=3.0)
    parts = beads(Design("bracelet", "beads", "gold", bead="onyx", accent="onyx", every=4), fit, strand(3.0))
    count = parts.counted()["beads"]
    assert count == 30
    spheres = parts.meshes()["onyx"].vertices.reshape(count, -1, 3)
    centers, radii = spheres.mean(1), np.ptp(spheres[:, :, 2], axis=1) / 2
    centers, radii = centers[np.argsort(np.arctan2(*centers.T[:2]))], radii[np.argsort(np.arctan2(*centers.T[:2]))]
    gaps = np.linalg.norm(np.roll(centers, -1, 0) - centers, axis=1) - radii - np.roll(radii, -1)
    assert -0.002 < gaps.min() and gaps.max() < 0.01


def test_graduated_beads_are_largest_in_front() -> None:
    fit = Fit(0.05, length=4.0)
    parts = graduated(Design("necklace", "graduated", "gold", bead="jade"), fit, strand(4.0, front=1.0))
    spheres = parts.meshes()["jade"].vertices.reshape(parts.counted()["beads"], -1, 3)
    largest = spheres[np.argmax(np.ptp(spheres[:, :, 2], axis=1))].mean(0)
    assert largest == pytest.approx(strand(4.0).curve.at(np.array([1.0])).positions[0], abs=0.12)


@pytest.mark.parametrize("links", ["cable", "rolo"])
def test_links_are_hooked_into_each_other_without_touching(links: str) -> None:
    design = Design("bracelet", "chain", "gold", links=links)
    parts = chain(design, Fit(0.05, length=30.0), strand(30.0))
    count = parts.counted()["links"]
    assert count % 2 == 0
    points = parts.meshes()["gold"].vertices.reshape(count, -1, 3).astype(float)
    gap = np.linalg.norm(points[0][:, None] - points[1][None], axis=2).min()
    wire = design.link_wire * np.linalg.norm(points[0].max(0) - points[0].min(0))
    assert 0 < gap < 0.6 * wire
    assert np.linalg.norm(points[1].mean(0) - points[0].mean(0)) < np.linalg.norm(np.ptp(points[0], axis=0))


def test_stones_of_a_row_are_counted_and_face_outwards() -> None:
    parts = row_of_stones(
        Design("bracelet", "tennis", "silver", stone="ruby", cut="round"), Fit(0.05, length=2.0), strand(2.0)
    )
    assert parts.counted() == {"stones": 18, "strands": 1}
    stone = parts.meshes()["ruby"].vertices.reshape(18, -1, 3)
    assert stone[..., 2].max() == pytest.approx(0.05 * (0.25 + 0.34), abs=1e-3)


@pytest.mark.parametrize("count", range(3, 9))
@pytest.mark.parametrize("length", [1.6, 2.4])
def test_charms_have_room_for_themselves_on_the_front(count: int, length: float) -> None:
    places, size = charm_places(count, Fit(0.06, length=length), 0.25)
    assert len(places) == count and places.mean() == pytest.approx(0)
    assert np.diff(places).min() >= 1.05 * size
    assert np.ptp(places) <= 0.45 * length and 0.07 < size <= 0.25
