import numpy as np
import pytest

pytest.importorskip("mitsuba")
from datamodules.rendering.appearance.materials import (
    MATERIALS,
    Finish,
    conductor_indices,
    draw_finish,
    is_sharp,
    ornament_bsdf,
    pearl_colors,
)
from datamodules.rendering.ornaments.catalogue import GEMS, METALS, OPAQUE


def test_the_table_has_every_material_that_designs_name():
    assert set(MATERIALS) == {*METALS, *GEMS, *OPAQUE}


@pytest.mark.parametrize("name", sorted(MATERIALS))
def test_every_material_has_a_bsdf_with_colours_that_do_not_make_light(name):
    assert ornament_bsdf(name, Finish())["type"] in ("twosided", "dielectric")
    assert all(0 < value <= 1 for value in (*MATERIALS[name].color, *MATERIALS[name].edge))


def test_an_unknown_material_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match=r"gold.*got 'brass'"):
        ornament_bsdf("brass", Finish())


def test_the_indices_of_a_metal_give_its_colour_head_on():
    for name in METALS:
        n, k = conductor_indices(MATERIALS[name].color, MATERIALS[name].edge)
        reflectance = ((n - 1) ** 2 + k**2) / ((n + 1) ** 2 + k**2)
        np.testing.assert_allclose(reflectance, np.clip(MATERIALS[name].color, 1e-3, 0.999), atol=1e-6)


def test_metals_and_cut_stones_are_sharp_and_pearls_are_not():
    assert is_sharp("gold") and is_sharp("diamond") and is_sharp("ruby")
    assert not is_sharp("pearl") and not is_sharp("turquoise")


def test_pearls_show_their_body_colour_in_the_middle_and_their_overtone_around_it():
    finish = Finish(body_color=(0.8, 0.8, 0.8), overtone=(0.9, 0.5, 0.5))
    camera = np.array([0.0, 0.0, 1.0])
    tilted = np.array([np.sqrt(1 - 0.5**2), 0.0, 0.5])
    middle, ring = pearl_colors(np.stack([camera, tilted]), np.stack([camera, camera]), finish)
    assert np.abs(middle - 0.8).max() < 0.02
    assert ring[0] > ring[1] + 0.1


def test_the_finish_keeps_the_roughness_of_the_design_unless_it_is_too_sharp():
    assert draw_finish(np.random.default_rng(0), 0.14).roughness == 0.14
    assert draw_finish(np.random.default_rng(0), 0.0).roughness > 0
