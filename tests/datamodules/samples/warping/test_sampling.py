import math
import random

import numpy as np
import pytest

from datamodules.samples.warping import sampling as drawing
from datamodules.samples.warping.sampling import Edge, draw_edge, draw_light, draw_place, draw_warp


def test_warps_turn_by_a_little_and_some_by_any_angle() -> None:
    turns, ratios = [], []
    for seed in range(2000):
        left, scales, right = np.linalg.svd(draw_warp(random.Random(seed)).matrix)
        turn = (left @ right).T
        turns.append(math.atan2(turn[1, 0], turn[0, 0]))
        ratios.append(scales[1] / scales[0])
    share_of_large = np.mean(np.abs(turns) > math.radians(90))
    assert share_of_large == pytest.approx(drawing.ANY_TURN / 2, abs=0.02)
    assert np.median(np.abs(turns)) == pytest.approx(0.674 * drawing.TURN, rel=0.25)
    assert min(ratios) >= 0.45 - 1e-9 and max(ratios) <= 1 + 1e-9 and np.mean(ratios) == pytest.approx(0.725, abs=0.02)


def test_edges_hide_something_of_two_in_five() -> None:
    edges = [draw_edge(random.Random(seed)) for seed in range(2000)]
    hiding = [edge.visible for edge in edges if edge.visible < 1]
    assert len(hiding) / 2000 == pytest.approx(0.4, abs=0.03)
    assert min(hiding) >= 0.4 and max(hiding) <= 0.9


def test_beyond_an_edge_is_in_its_direction_and_its_curve_is_taken_out() -> None:
    worn = np.array([[0.5, 0.0], [0.0, 2.0], [0.0, -2.0]])
    np.testing.assert_allclose(Edge(0.0, 0.25, 1.0).beyond(worn), [0.5, -1, -1])
    np.testing.assert_allclose(Edge(math.pi / 2, 0.0, 1.0).beyond(worn), [0, 2, -2], atol=1e-12)


def test_light_and_place_stay_within_their_bounds() -> None:
    for seed in range(200):
        light, place = draw_light(random.Random(seed)), draw_place(random.Random(seed))
        assert light.gain.min() > 0.4 and light.gain.max() < 1.7 and np.hypot(*light.slope) <= 0.25
        assert np.abs(place.shift).max() <= 0.3 and 0.45 <= place.size <= 1
