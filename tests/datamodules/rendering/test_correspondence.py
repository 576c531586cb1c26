"""A square that is worn and laid: where each of its points is seen is known."""

import numpy as np
import pytest

pytest.importorskip("numba")
from datamodules.rendering.composition import Composition, Recipe, compose
from datamodules.rendering.correspondence import correspond
from datamodules.rendering.geometry.meshes import Mesh, grid_mesh, merge
from datamodules.rendering.geometry.views import Camera, Fit, LaidView, WornView
from datamodules.rendering.renderer.masks import Window
from datamodules.rendering.renderer.surface_buffer import NOTHING, surface_buffer

CAMERA = Camera(np.zeros(3), np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 0.0]), 2.0, 20.0)
WHOLE = Window(0, 0, 64, 64)


def square(center, half, turn=0.0):
    """A square in the plane of the image, that faces the camera, turned counter-clockwise by degrees."""
    side = np.linspace(-half, half, 9)
    points = np.stack([*np.meshgrid(side, side, indexing="ij"), np.zeros((9, 9))], -1)
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return grid_mesh(points @ np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]]) + center)


def composition(worn, laid, body=None, mirrored=False):
    worn = WornView({"gold": worn}, body or {}, CAMERA, np.zeros(3), 1.0, np.zeros(3), {}, Fit(1.0))
    laid = LaidView({"gold": laid}, CAMERA, 0.0, {})
    empty = dict.fromkeys(Composition._fields)
    return Composition(
        **empty | {"worn": worn, "laid": laid, "window": WHOLE, "laid_window": WHOLE, "mirrored": mirrored}
    )


def test_weights_are_those_of_the_surface_and_not_of_its_picture():
    tilted = Mesh(
        np.array([[-0.5, -0.5, 1], [0.5, -0.5, -3], [-0.5, 0.5, 1]], np.float32),
        np.zeros((3, 3), np.float32),
        np.array([[0, 1, 2]], np.uint32),
    )
    buffer = surface_buffer([tilted], CAMERA, WHOLE)
    hit = buffer.faces != NOTHING
    points = (tilted.vertices[tilted.faces[buffer.faces[hit]]] * buffer.weights[hit][..., None]).sum(1)
    np.testing.assert_allclose(buffer.weights[hit].sum(1), 1, atol=1e-4)
    distance = 1 / np.tan(np.radians(10))
    np.testing.assert_allclose(distance - points[:, 2], buffer.depths[hit], atol=1e-3)
    assert (buffer.faces[~hit] == NOTHING).all() and hit.any()


def test_a_square_that_is_moved_and_shrunk_is_found_again():
    found = correspond(composition(square((0.25, 0, 0), 0.5), square((0, 0.25, 0), 0.25)))
    rows, columns = np.nonzero(found.known == 1)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (24, 55, 16, 47)
    centres = np.stack([columns, rows], -1) + 0.5
    expected = (centres - (40, 32)) / 2 + (32, 24)
    np.testing.assert_allclose(found.points[rows, columns], expected, atol=0.02)
    assert np.array_equal(found.seen, found.known) and (found.points[found.known == 0] == 0).all()


def test_a_quarter_of_a_turn_turns_the_points():
    found = correspond(composition(square((0, 0, 0), 0.5), square((0, 0, 0), 0.5, 90)))
    # The upper right corner of the worn one lies upper left.
    np.testing.assert_allclose(found.points[17, 46], (17.5, 17.5), atol=0.05)
    np.testing.assert_allclose(found.points[46, 46], (46.5, 17.5), atol=0.05)


def test_mirrored_pictures_have_mirrored_points():
    plain = correspond(composition(square((0.25, 0, 0), 0.5), square((0, 0.25, 0), 0.25)))
    mirrored = correspond(composition(square((0.25, 0, 0), 0.5), square((0, 0.25, 0), 0.25), mirrored=True))
    assert np.array_equal(mirrored.known, plain.known[:, ::-1])
    known = mirrored.known > 0
    np.testing.assert_allclose(mirrored.points[known][:, 0], 64 - plain.points[:, ::-1][known][:, 0], atol=1e-4)
    assert (mirrored.points[~known] == 0).all()


def test_what_the_body_hides_is_not_known():
    body = {"skin": square((0.5, 0, 0.1), 0.5)}
    found = correspond(composition(square((0, 0, 0), 0.5), square((0, 0, 0), 0.5), body))
    assert found.known[:, 34:].max() == 0 and found.known[20:40, 18:30].min() == 1


def test_what_another_part_hides_is_known_and_not_seen():
    worn = merge([square((-0.5, 0, 0), 0.3), square((0.5, 0, 0), 0.3)])
    laid = merge([square((0, 0, 0), 0.3), square((0, 0, 0.4), 0.3)])
    # A sheet has no back of its own: what is before the first part must end there to hide it.
    back = square((0, 0, 0.35), 0.3)
    backs = merge([back._replace(faces=back.faces[:, ::-1])])
    worn, laid = merge([worn, backs._replace(vertices=backs.vertices - [0, 0, 9])]), merge([laid, backs])
    found = correspond(composition(worn, laid))
    assert found.known[28:36, 12:20].min() == 1 and found.seen[28:36, 12:20].max() == 0
    assert found.seen[28:36, 44:52].min() == 1


def test_the_back_of_a_thin_wire_is_seen_through_its_own_thickness():
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    around, along = np.meshgrid(np.linspace(0, 2 * np.pi, 16, endpoint=False), angle, indexing="ij")
    radius = 0.5 + 0.05 * np.cos(around)
    points = np.stack([radius * np.cos(along), radius * np.sin(along), 0.05 * np.sin(around)], -1)
    hoop = grid_mesh(points, (True, True))
    if np.einsum("ij,ij->", hoop.normals, hoop.vertices * [1, 1, 0]) < 0:
        hoop = hoop._replace(faces=hoop.faces[:, ::-1])
    over = hoop._replace(vertices=hoop.vertices * np.array([-1, 1, -1], np.float32))  # its other side up
    found = correspond(composition(hoop, over))
    assert found.seen.sum() > 0.95 * found.known.sum()


def test_meshes_that_differ_are_refused():
    with pytest.raises(ValueError, match="must have the materials and faces of the one that is laid"):
        correspond(composition(square((0, 0, 0), 0.5), merge([square((0, 0, 0), 0.5)] * 2)))


def test_a_triplet_is_known_where_it_is_worn_and_its_points_lie_on_the_ornament():
    drawn = compose(1, Recipe(seed=3, size=32, detail=0.3))
    found = correspond(drawn)
    oriented = [mask[:, ::-1] if drawn.mirrored else mask for mask in (drawn.masks.visible, drawn.laid_masks.visible)]
    assert np.array_equal(found.known, oriented[0])
    column, row = np.floor(found.points[found.known == 1]).astype(int).T
    assert (oriented[1][row, column] > 0).mean() > 0.98
    assert 0.5 < found.seen.sum() / found.known.sum() <= 1
