import json
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from datamodules.rendering.bodies import draw_body
from datamodules.rendering.bodies.skin import TONES
from datamodules.rendering.geometry.meshes import Mesh, signed_volume
from datamodules.rendering.geometry.views import LaidView, WornView
from datamodules.rendering.ornaments import KINDS, Design, PendantDesign, draw_design, is_flexible
from datamodules.rendering.ornaments.catalogue import GEMS, METALS, OPAQUE
from datamodules.rendering.poses import lay_out, wear

ALL = [(category, kind) for category in KINDS for kind in KINDS[category]]
COARSE = 0.35


@lru_cache(maxsize=64)
def both(design: Design, seed: int = 0) -> tuple[WornView, LaidView]:
    body = draw_body(design.category, 0, COARSE)
    worn = wear(design, body, TONES[3], np.random.default_rng(seed))
    return worn, lay_out(design, worn.fit, np.random.default_rng(seed + 1))


def drawn(category: str, kind: str, seed: int = 0) -> Design:
    return draw_design(np.random.default_rng(seed), category, kind)


def solids(mesh: Mesh) -> list[np.ndarray]:
    """Vertices of each connected part of a mesh; vertices at the same place are one."""
    places, welded = np.unique(np.round(mesh.vertices.astype(float), 5), axis=0, return_inverse=True)
    faces = welded.ravel()[mesh.faces]
    links = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]]])
    graph = coo_array((np.ones(len(links)), links.T), shape=(len(places), len(places)))
    count, labels = connected_components(graph, directed=False)
    return [places[labels == label] for label in range(count)]


@pytest.mark.parametrize(("category", "kind"), ALL)
def test_every_kind_is_worn_and_laid(category: str, kind: str) -> None:
    worn, laid = both(drawn(category, kind))
    for view in (worn, laid):
        assert set(view.ornament) <= {*METALS, *GEMS, *OPAQUE}
        for mesh in view.ornament.values():
            assert np.isfinite(mesh.vertices).all() and mesh.faces.max() < len(mesh.vertices)
            assert np.abs(np.linalg.norm(mesh.normals, axis=1) - 1).max() < 1e-3
            assert signed_volume(mesh) > 0
        camera = view.camera
        assert camera.direction @ camera.up == pytest.approx(0, abs=1e-6)
        assert np.linalg.norm([camera.direction, camera.up], axis=1) == pytest.approx(1)
    assert set(worn.ornament) == set(laid.ornament)
    assert worn.components == laid.components
    assert all(count > 0 for count in worn.components.values())
    assert json.loads(json.dumps(worn.info)) == worn.info and json.loads(json.dumps(laid.info)) == laid.info


@pytest.mark.parametrize(("category", "kind"), ALL)
def test_the_whole_ornament_is_in_the_picture(category: str, kind: str) -> None:
    for view in both(drawn(category, kind)):
        points = np.concatenate([mesh.vertices for mesh in view.ornament.values()]) - view.camera.target
        right = np.cross(view.camera.up, view.camera.direction)
        seen = np.abs(np.stack([points @ right, points @ view.camera.up]))
        assert seen.max() <= 0.5 * view.camera.width
        assert seen.max() > 0.02 * view.camera.width


@pytest.mark.parametrize(("category", "kind"), [pair for pair in ALL if not is_flexible(drawn(*pair))])
def test_rigid_pieces_are_the_same_worn_and_laid(category: str, kind: str) -> None:
    """All distances are the same: inner radius, ellipticity, widths, and how many parts there are."""
    worn, laid = both(drawn(category, kind))
    for material, mesh in worn.ornament.items():
        other = laid.ornament[material]
        assert np.array_equal(mesh.faces, other.faces)
        for one, same in ((mesh.vertices, other.vertices), (mesh.normals, other.normals)):
            picked = slice(None, None, max(len(one) // 200, 1))
            first, second = one[picked].astype(float), same[picked].astype(float)
            distances = [np.linalg.norm(points[:, None] - points[None], axis=2) for points in (first, second)]
            assert np.abs(distances[0] - distances[1]).max() < 2e-4


@pytest.mark.parametrize("kind", ["beads", "chain", "tennis"])
def test_flexible_pieces_have_parts_of_the_same_size_worn_and_laid(kind: str) -> None:
    design = replace(drawn("bracelet", kind), metal="gold")
    worn, laid = both(design)
    for material in worn.ornament:
        first, second = solids(worn.ornament[material]), solids(laid.ornament[material])
        assert len(first) == len(second)
        sizes = [
            sorted(np.linalg.norm(part - part.mean(0), axis=1).max() for part in parts) for parts in (first, second)
        ]
        small = [[size for size in some if size < 0.3] for some in sizes]
        assert small[0] == pytest.approx(small[1], rel=0.08, abs=0.004)


COUNTED = [
    (Design("ring", "solitaire", "gold", stone="ruby", cut="round", setting="prong", prongs=6), {"stones": 1}),
    (Design("ring", "halo", "gold", stone="ruby", accent="diamond", cut="round"), {"stones": 17}),
    (Design("ring", "trilogy", "gold", stone="ruby", accent="ruby", cut="round"), {"stones": 3}),
    (Design("ring", "pearl", "gold", bead="pearl"), {"beads": 1}),
    (Design("ring", "plain", "gold", stone="ruby"), {"stones": 7}),
    (Design("ring", "plain", "gold"), {}),
    (Design("bracelet", "bangle", "gold", stone="ruby"), {"stones": 15}),
    (Design("bracelet", "twist", "gold", strands=2, turns=9), {"strands": 2}),
    (Design("bracelet", "cuff", "gold", bead="onyx"), {"beads": 2}),
    (Design("earring", "stud", "gold", motif="pearl"), {"beads": 1}),
    (
        Design("earring", "chandelier", "gold", stone="ruby", bead="jade", parts=5, setting="bezel"),
        {"stones": 1, "beads": 5},
    ),
    (Design("earring", "beads", "gold", bead="onyx", parts=6), {"beads": 6}),
    (
        Design("earring", "drop", "gold", pendant=PendantDesign("halo", "round", "ruby", "diamond")),
        {"stones": 15, "pendants": 1, "strands": 1, "links": 4},
    ),
]


@pytest.mark.parametrize(("design", "counts"), COUNTED, ids=lambda value: getattr(value, "kind", ""))
def test_components_are_what_the_kind_has(design: Design, counts: dict[str, int]) -> None:
    links = {"links": both(design)[0].components["links"]} if "links" in counts else {}
    assert both(design)[0].components == {**counts, **links}


@pytest.mark.parametrize(
    ("category", "kind"),
    [("ring", "halo"), ("ring", "eternity"), ("bracelet", "tennis"), ("bracelet", "beads"), ("necklace", "pearls"),
     ("necklace", "graduated"), ("necklace", "station"), ("earring", "chandelier"), ("ring", "trilogy")],
)  # fmt: skip
def test_counts_are_the_solids_of_stone_and_bead_that_one_finds(category: str, kind: str) -> None:
    design = drawn(category, kind, 3)
    if design.accent in METALS:
        design = replace(design, accent="onyx")
    for view in both(design):
        found = sum(len(solids(mesh)) for material, mesh in view.ornament.items() if material not in METALS)
        assert found == view.components.get("stones", 0) + view.components.get("beads", 0)


def test_links_are_counted_as_one_finds_them() -> None:
    design = Design("necklace", "station", "gold", links="cable", bead="pearl", parts=9)
    for view in both(design):
        assert len(solids(view.ornament["gold"])) == view.components["links"]
        assert view.components["beads"] == 9 and view.components["strands"] == 1


@pytest.mark.parametrize("seed", range(6))
def test_charms_hang_apart_on_the_arm(seed: int) -> None:
    charm = PendantDesign("disc", cut="round", stone="ruby", accent="diamond")
    design = Design("bracelet", "charm", "gold", links="cable", parts=6, pendant=charm)
    worn, laid = both(design, seed)
    assert worn.components["pendants"] == laid.components["pendants"] == 6
    middles = np.array([part.mean(0) for part in solids(worn.ornament["ruby"])])
    assert len(middles) >= 5
    apart = np.linalg.norm(middles[:, None] - middles[None], axis=2) + 9 * np.eye(len(middles))
    assert apart.min() > 0.10
    body = draw_body("bracelet", 0, COARSE)
    assert body.field.distance(middles).min() > 0


@pytest.mark.parametrize("kind", ["bangle", "twist", "cuff"])
@pytest.mark.parametrize("seed", range(3))
def test_rigid_bracelets_do_not_pierce_the_arm(kind: str, seed: int) -> None:
    worn, _ = both(drawn("bracelet", kind, seed), seed)
    points = np.concatenate([mesh.vertices for mesh in worn.ornament.values()])
    assert draw_body("bracelet", 0, COARSE).field.distance(points).min() > -0.012


@pytest.mark.parametrize("category", ["bracelet", "necklace"])
def test_draped_pieces_lie_on_the_body(category: str) -> None:
    kind = {"bracelet": "beads", "necklace": "pearls"}[category]
    worn, _ = both(drawn(category, kind))
    points = np.concatenate([mesh.vertices for mesh in worn.ornament.values()])
    distances = draw_body(category, 0, COARSE).field.distance(points)
    assert -0.45 * worn.fit.scale < distances.min() < 0.25 * worn.fit.scale


@pytest.mark.parametrize("kind", ["pearl", "stone", "halo", "bar"])
def test_pendants_lie_on_the_chest(kind: str) -> None:
    pendant = PendantDesign(kind, cut="round", stone="" if kind == "pearl" else "ruby", accent="diamond")
    worn, laid = both(Design("necklace", "chain_pendant", "gold", links="cable", pendant=pendant))
    shown = worn.ornament["pearl" if kind == "pearl" else "ruby"].vertices
    nearest = float(draw_body("necklace", 0, COARSE).field.distance(shown).min())
    assert -0.02 < nearest < 0.12
    assert laid.components == worn.components and laid.components["pendants"] == 1


def test_views_are_the_same_for_the_same_seeds() -> None:
    design, body = drawn("bracelet", "charm"), draw_body("bracelet", 0, COARSE)
    first, second = (wear(design, body, TONES[0], np.random.default_rng(5)) for _ in range(2))
    other = wear(design, body, TONES[0], np.random.default_rng(6))
    assert all(
        first.ornament[name].vertices.tobytes() == second.ornament[name].vertices.tobytes() for name in first.ornament
    )
    assert first.fit == second.fit and first.info == second.info and first.info != other.info


def test_an_ornament_needs_the_body_of_its_category() -> None:
    with pytest.raises(ValueError, match="a ring cannot be worn on Bust: draw the body of its category"):
        wear(drawn("ring", "plain"), draw_body("necklace", 0, COARSE), TONES[0], np.random.default_rng(0))
    with pytest.raises(ValueError, match="a necklace cannot be worn on Hand"):
        wear(drawn("necklace", "pearls"), draw_body("ring", 0, COARSE), TONES[0], np.random.default_rng(0))
