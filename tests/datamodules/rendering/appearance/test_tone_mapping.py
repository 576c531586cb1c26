import numpy as np
import pytest

from datamodules.rendering.appearance.tone_mapping import SHOULDER, adapted_exposure, decode, develop, encode


def test_black_is_0_and_the_shoulder_never_exceeds_white():
    radiance = np.array([[[0.0, -1.0, 1e6]]])
    assert develop(radiance, 1.0).tolist() == [[[0, 0, 255]]]


def test_below_the_shoulder_pictures_are_srgb():
    # 0.2140 is the linear light of sRGB 0.5 (IEC 61966-2-1)
    assert develop(np.full((1, 1, 3), 0.2140), 1.0)[0, 0, 0] in (127, 128)
    assert encode(np.array(0.0031308)) == pytest.approx(0.04045, abs=1e-5)


def test_decode_is_the_inverse_of_encode():
    light = np.linspace(0, 1, 101)
    np.testing.assert_allclose(decode(encode(light)), light, atol=1e-12)


def test_brighter_light_is_never_darker_also_across_the_shoulder():
    light = np.linspace(0, 4, 4001)[None, :, None].repeat(3, -1)
    developed = develop(light, 1.0)[0, :, 0].astype(int)
    assert (np.diff(developed) >= 0).all()
    assert np.diff(developed).max() <= 4
    assert developed[int(SHOULDER * 1000)] < 255


def test_exposure_scales_light():
    radiance = np.full((1, 1, 3), 0.1)
    np.testing.assert_array_equal(develop(radiance, 2.0), develop(2 * radiance, 1.0))


def test_dark_pictures_are_exposed_longer_and_bright_ones_shorter_within_limits():
    assert adapted_exposure(1.0, np.array([0.22])) == pytest.approx(1.0)
    assert 1 < adapted_exposure(1.0, np.array([0.1])) < 0.22 / 0.1
    assert 0.22 / 0.5 < adapted_exposure(1.0, np.array([0.5])) < 1
    assert adapted_exposure(1.0, np.array([0.0])) == pytest.approx(2.2)
    assert adapted_exposure(1.0, np.array([1e3])) == pytest.approx(0.75)
