import math
import random

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy.ndimage import label

from datamodules.samples.warping.cutout import frame
from datamodules.samples.warping.field import Warp, folds, survey_points
from datamodules.samples.warping.placing import LEAST_SIZE, settle, survey
from datamodules.samples.warping.sampling import Edge, Place, draw_edge, draw_place, draw_warp
from datamodules.storage.sample_errors import SampleError

OPEN = Edge(0.0, 0.0, 1.0)


def disc() -> Image.Image:
    mask = Image.new("L", (100, 100))
    ImageDraw.Draw(mask).ellipse((20, 20, 79, 79), fill=255)
    return mask


def test_of_a_straight_ornament_the_square_is_seen() -> None:
    found = survey(disc(), frame(disc()), Warp.affine(np.eye(2)), OPEN)
    np.testing.assert_allclose(found.box, (-1, -1, 1, 1), atol=0.1)
    assert found.limit == math.inf


def test_the_limit_leaves_the_share_that_is_visible() -> None:
    found = survey(disc(), frame(disc()), Warp.affine(np.eye(2)), Edge(0.0, 0.0, 0.5))
    assert found.limit == pytest.approx(0, abs=0.1)
    np.testing.assert_allclose(found.box, (-1, -1, 0, 1), atol=0.15)


def test_a_warp_that_folds_is_made_gentler() -> None:
    wild = Warp.affine(np.eye(2))._replace(amplitudes=np.array([[1.0, 0.0]]), frequencies=np.array([[4.0, 0.0]]))
    everywhere = np.ones((48, 48), dtype=bool)
    assert folds(wild, everywhere) and not folds(survey(disc(), frame(disc()), wild, OPEN).warp, everywhere)


@pytest.mark.parametrize("seed", range(40))
def test_what_is_drawn_is_seen_once_and_ends_within_the_survey(seed: int) -> None:
    warp = survey(disc(), frame(disc()), draw_warp(random.Random(seed)), OPEN).warp
    shown = np.linalg.norm(warp(survey_points(48)), axis=-1) < 1
    assert not folds(warp, shown) and label(shown)[1] == 1
    assert not (shown[0].any() or shown[-1].any() or shown[:, 0].any() or shown[:, -1].any())


def test_an_ornament_of_which_nothing_is_seen_is_a_fault() -> None:
    away = Warp.affine(np.eye(2) * 1e-3)._replace(phases=np.array([math.pi / 2]), amplitudes=np.array([[9.0, 0.0]]))
    gentle = away._replace(bend=np.zeros(2), frequencies=np.zeros((1, 2)))
    with pytest.raises(SampleError, match="something of an ornament must be seen"):
        survey(disc(), frame(disc()), gentle, OPEN)


def test_a_place_is_near_the_own_box_and_of_its_size() -> None:
    found = survey(disc(), frame(disc()), Warp.affine(np.eye(2)), OPEN)
    placement = settle(found, Place(np.array([0.25, -0.1]), 0.5), (100.0, 100.0, 180.0, 140.0), 400, 300)
    assert placement.centre.tolist() == pytest.approx([140 + 20, 120 - 8])
    assert placement.half == pytest.approx(20, rel=0.08)
    x0, y0, x1, y1 = placement.window
    assert (x0 <= 140, y0 <= 92, x1 >= 180, y1 >= 132) == (True,) * 4 and x1 - x0 < 50


@pytest.mark.parametrize("size", [(128, 128), (60, 200), (9, 14)])
def test_every_place_is_inside_the_photograph(size: tuple[int, int]) -> None:
    width, height = size
    for seed in range(40):
        rng = random.Random(seed)
        found = survey(disc(), frame(disc()), draw_warp(rng), draw_edge(rng))
        own = (0.0, height * 0.7, width * 0.5, height * 1.0)
        placement = settle(found, draw_place(rng), own, width, height)
        edges = np.array(found.box).reshape(2, 2) * placement.half + placement.centre
        assert (edges >= -1e-6).all() and (edges <= np.array(size) + 1e-6).all()
        x0, y0, x1, y1 = placement.window
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert np.ptp(edges, axis=0).max() >= min(LEAST_SIZE, 6.0)
