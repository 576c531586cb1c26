import numpy as np
import pytest

from datamodules.rendering.appearance.backdrops import BACKDROPS, PAINTERS, SIZE, TABLES, draw_backdrop, draw_table
from datamodules.rendering.appearance.looks import draw_look, skin_relief


@pytest.mark.parametrize(("draw", "names"), [(draw_backdrop, BACKDROPS), (draw_table, TABLES)])
def test_every_picture_is_there_and_in_range(draw, names):
    seen = {}
    for seed in range(40):
        name, picture = draw(np.random.default_rng(seed))
        seen[name] = picture
        assert picture.shape == (SIZE, SIZE, 3) and picture.dtype == np.float32
        assert picture.min() >= 0.01 and picture.max() <= 0.95
    assert set(seen) == set(names)


def test_the_chances_add_up():
    assert sum(BACKDROPS.values()) == pytest.approx(1)
    assert sum(TABLES.values()) == pytest.approx(1)
    assert set(BACKDROPS) <= set(PAINTERS)


def test_a_look_is_a_function_of_its_seed_and_keeps_the_metal_of_the_design():
    tone = np.array([0.5, 0.3, 0.2])
    first, again = (draw_look(np.random.default_rng(1), tone, 0.14) for _ in range(2))
    assert first.info == again.info and first.finish == again.finish
    np.testing.assert_array_equal(first.backdrop, again.backdrop)
    assert first.finish.roughness == 0.14


def test_the_lines_of_the_skin_repeat_without_a_seam():
    relief = skin_relief()[..., 0].astype(float)
    assert relief.mean() == pytest.approx(0, abs=1e-6)
    inside = np.abs(np.diff(relief, axis=1)).mean()
    seam = np.abs(relief[:, 0] - relief[:, -1]).mean()
    assert seam < 2 * inside
