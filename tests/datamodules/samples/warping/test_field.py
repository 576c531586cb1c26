import numpy as np

from datamodules.samples.warping.field import NEAREST, Warp, folds, spread, survey_points

EVERYWHERE = np.ones((41, 41), dtype=bool)


def test_an_affine_warp_is_its_matrix() -> None:
    matrix = np.array([[1.0, 2.0], [0.0, 3.0]])
    worn = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    np.testing.assert_array_equal(Warp.affine(matrix)(worn), [[[1, 0], [2, 3]]])
    assert not folds(Warp.affine(matrix), EVERYWHERE)


def test_each_part_does_what_it_says() -> None:
    plain, worn = Warp.affine(np.eye(2)), np.array([0.5, -0.5])
    near = plain._replace(perspective=np.array([0.5, 0.0]))
    np.testing.assert_allclose(near(worn), worn / 1.25)
    np.testing.assert_allclose(near(np.array([-2.0, 0.0])), [-2 / NEAREST, 0])
    np.testing.assert_allclose(plain._replace(bend=np.array([0.2, 0.0]))(worn), [0.55, -0.5])
    wave = plain._replace(phases=np.array([np.pi / 2]), amplitudes=np.array([[0.1, 0.3]]))
    np.testing.assert_allclose(wave(worn), [0.6, -0.2])


def test_the_survey_goes_from_left_to_right_and_from_top_to_bottom() -> None:
    points = survey_points(5)
    np.testing.assert_allclose(points[0, 1] - points[0, 0], [spread(5), 0])
    np.testing.assert_allclose(points[1, 0] - points[0, 0], [0, spread(5)])
    np.testing.assert_allclose(points[2, 2], [0, 0], atol=1e-12)


def test_a_fold_is_found_where_it_matters_and_a_gentler_warp_has_none() -> None:
    # x + x^2 turns round at x = -1/2
    bent = Warp.affine(np.array([[0.0, 1.0], [1.0, 0.0]]))._replace(bend=np.array([1.0, 0.0]))
    mirrored = bent._replace(matrix=np.array([[0.0, 1.0], [-1.0, 0.0]]))
    middle = np.abs(survey_points(41)).max(axis=-1) < 0.2
    assert folds(mirrored, EVERYWHERE) and not folds(mirrored, middle)
    assert not folds(mirrored.gentler().gentler().gentler(), EVERYWHERE)
