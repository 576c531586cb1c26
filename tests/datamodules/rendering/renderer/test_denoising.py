import numpy as np
import pytest

numba = pytest.importorskip("numba")
from scipy.ndimage import uniform_filter  # noqa: E402

from datamodules.rendering.renderer import denoising  # noqa: E402
from datamodules.rendering.renderer.denoising import denoise, firefly_weights  # noqa: E402


@pytest.fixture
def noisy():
    """Four noisy groups of an image of two materials, its features and where it is sharp: 20 x 24 pixels."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:20, 0:24] / 20
    truth = np.where((x > 0.6)[..., None], [0.8, 0.3, 0.1], 0.2 + 0.3 * y[..., None] * np.ones(3))
    groups = (truth + rng.normal(0, 0.1, (4, 20, 24, 3))).astype(np.float32)
    albedo = np.where((x > 0.6)[..., None], [0.8, 0.3, 0.1], 0.5) * np.ones(3)
    normal = np.stack([x * 0, y * 0, x * 0 + 1], -1)
    features = np.concatenate([albedo, normal, 2 + x[..., None]], -1).astype(np.float32)
    sharp = (np.hypot(x - 0.3, y - 0.5) < 0.2).astype(np.float32)
    return truth, groups, features, sharp


def plain(groups, features, sharp):
    """The same as the compiled code, written with whole arrays."""
    mask = sharp > 0
    albedo = np.where(mask[..., None], 1, features[..., :3] + denoising.DARKEST_ALBEDO)
    shading = groups / albedo
    shading = shading * firefly_weights(shading, mask)[..., None]
    color = shading.mean(0)
    variance = uniform_filter((shading.var(0, ddof=1) / len(groups)).mean(-1), 5, mode="nearest") + 1e-7
    scale = np.array([denoising.ALBEDO] * 3 + [denoising.NORMAL] * 3 + [denoising.DEPTH])
    guide = np.concatenate([features[..., :6], np.log(features[..., 6:])], -1) / scale
    strength = np.where(mask, denoising.SHARP, denoising.BLUNT) ** 2
    radius, (height, width) = denoising.RADIUS, variance.shape
    sums, weights = np.zeros_like(color), np.zeros_like(variance)
    rows, columns = np.mgrid[0:height, 0:width]
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            there = np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)
            inside = (rows + dy == there[0]) & (columns + dx == there[1])
            noise = variance + np.minimum(variance, variance[there])
            excess = ((color - color[there]) ** 2).mean(-1) - noise
            distance = uniform_filter(excess / (1e-6 + strength * (variance + variance[there])), 3, mode="nearest")
            exponent = np.maximum(distance, 0) + 0.5 * ((guide - guide[there]) ** 2).sum(-1)
            weight = np.exp(-exponent) * (inside & (mask == mask[there]) & (exponent < 16))
            sums += weight[..., None] * color[there]
            weights += weight
    return sums / weights[..., None] * albedo


def test_compiled_and_plain_code_agree(noisy):
    _, groups, features, sharp = noisy
    np.testing.assert_allclose(denoise(groups, features, sharp), plain(groups, features, sharp), rtol=2e-3, atol=2e-4)


def test_most_of_the_noise_goes_and_edges_stay(noisy):
    truth, groups, features, _ = noisy
    blunt = np.zeros((20, 24), np.float32)
    clean = denoise(groups, features, blunt)
    before, after = (np.sqrt(((picture - truth) ** 2).mean()) for picture in (groups.mean(0), clean))
    assert after < before / 2.5
    edge = np.abs(clean[:, 13] - clean[:, 12]).mean()
    assert edge == pytest.approx(np.abs(truth[:, 13] - truth[:, 12]).mean(), rel=0.15)


def test_sharp_pixels_do_not_mix_with_others(noisy):
    _, groups, features, sharp = noisy
    groups[:, sharp == 0] = 5
    clean = denoise(groups, features, sharp)
    assert clean[sharp > 0].max() < 1.2
    assert clean[sharp == 0].min() > 4.8


def test_a_picture_without_noise_stays_as_it_is(noisy):
    truth, _, features, sharp = noisy
    groups = np.repeat(truth[None], 4, 0).astype(np.float32)
    np.testing.assert_allclose(denoise(groups, features, sharp), truth, atol=0.02)


def test_a_firefly_in_one_group_is_brought_down():
    groups = np.full((4, 3, 3, 3), 0.5, np.float32)
    groups[2, 1, 1] = 500
    weights = firefly_weights(groups, np.zeros((3, 3), bool))
    assert weights[2, 1, 1] * 500 < 2
    weights[2, 1, 1] = 1
    np.testing.assert_array_equal(weights, 1)
