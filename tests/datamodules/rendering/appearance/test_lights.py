import numpy as np
import pytest

from datamodules.rendering.appearance.lights import directions, draw_dome, irradiance, solid_angles

UP = np.array([0.0, 0.0, 1.0])


def test_solid_angles_add_up_to_the_sphere():
    assert solid_angles().sum() == pytest.approx(4 * np.pi)


def test_the_same_light_from_everywhere_gives_pi_times_its_radiance():
    for normal in (UP, np.array([0.6, 0.0, -0.8])):
        assert irradiance(np.full((128, 256, 3), 2.0), normal) == pytest.approx(2 * np.pi, rel=1e-3)


def test_light_from_the_lower_half_does_not_reach_a_surface_that_looks_up():
    below = (directions() @ UP < 0)[..., None] * np.ones(3)
    assert irradiance(below, UP) == pytest.approx(0, abs=1e-9)
    assert irradiance(below, -UP) == pytest.approx(np.pi, rel=2e-2)


def test_a_dome_is_a_function_of_its_seed_and_is_finite_and_positive():
    first, again, other = (draw_dome(np.random.default_rng(seed), UP) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.radiance, again.radiance)
    assert first.info == again.info
    assert not np.array_equal(first.radiance, other.radiance)
    assert np.isfinite(first.radiance).all() and (first.radiance >= 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_key_light_comes_from_where_it_is_asked_for(seed):
    key = np.array([0.0, 0.6, 0.8])
    keyed = irradiance(draw_dome(np.random.default_rng(seed), UP, key).radiance, key)
    assert keyed > irradiance(draw_dome(np.random.default_rng(seed), UP, key).radiance, -key)


def test_the_sky_follows_its_up_direction():
    sideways = np.array([1.0, 0.0, 0.0])
    seeds = range(8)
    above = sum(irradiance(draw_dome(np.random.default_rng(seed), sideways).radiance, sideways) for seed in seeds)
    below = sum(irradiance(draw_dome(np.random.default_rng(seed), sideways).radiance, -sideways) for seed in seeds)
    assert above > 1.5 * below


def test_directions_are_unit_vectors_in_the_convention_of_mitsuba():
    toward = directions()
    np.testing.assert_allclose(np.linalg.norm(toward, axis=-1), 1)
    assert toward[0, 0, 1] > 0.99  # the first row looks along +y
    assert toward[64, 0, 2] < -0.99  # the left border along -z
