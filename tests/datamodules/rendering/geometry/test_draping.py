import numpy as np
import pytest

from datamodules.rendering.geometry.draping import around, drape
from datamodules.rendering.geometry.fields import DistanceField, sample_field
from datamodules.rendering.geometry.sdf import capsule
from datamodules.rendering.geometry.tubes import arc_lengths, circle

RADIUS, LENGTH = 0.4, 3.2


@pytest.fixture(scope="module")
def rod() -> DistanceField:
    """A rod along x."""
    return sample_field(
        lambda points: capsule(points, [-3, 0, 0], [3, 0, 0], RADIUS, RADIUS),
        np.array([-0.6, -1, -1.2]),
        np.array([0.6, 1, 1]),
        0.04,
    )


@pytest.fixture(scope="module")
def draped(rod: DistanceField) -> np.ndarray:
    loop = circle(LENGTH / (2 * np.pi), 60)[:, [2, 0, 1]]
    return drape(rod, loop, LENGTH, 0.05, np.array([0, 0, -1.0]), steps=200)


def test_a_draped_loop_keeps_its_length(draped: np.ndarray) -> None:
    assert arc_lengths(draped, True)[-1] == pytest.approx(LENGTH, rel=0.01)


def test_a_draped_loop_stays_outside(draped: np.ndarray) -> None:
    assert (np.linalg.norm(draped[:, 1:], axis=1) - RADIUS).min() > 0.05 - 0.01


def test_a_draped_loop_rests_above_and_hangs_below(draped: np.ndarray) -> None:
    assert draped[:, 2].max() == pytest.approx(RADIUS + 0.05, abs=0.03)
    assert draped[:, 2].min() < -RADIUS - 0.15


def test_loops_need_an_even_number_of_points(rod: DistanceField) -> None:
    with pytest.raises(ValueError, match="even number of points, got 5"):
        drape(rod, circle(1.0, 5), 1.0, 0.1, np.array([0, 0, -1.0]))


def test_going_around_a_rod_finds_its_radius(rod: DistanceField) -> None:
    directions, reach = around(rod.distance, np.zeros(3), np.array([0, 1.0, 0]), np.array([0, 0, 1.0]), 32)
    assert reach == pytest.approx(RADIUS, abs=0.003)
    assert directions @ np.array([1.0, 0, 0]) == pytest.approx(0)
