"""FID and KID against the formulas of other programs on the same features, and by hand."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import linalg
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from ornament_lit.metrics import FID, KID, GeneratedBatch
from ornament_lit.metrics.bootstrap import Floats, Resampling
from ornament_lit.metrics.encoders import CLIPEncoder
from ornament_lit.metrics.fid import frechet_distance
from ornament_lit.metrics.kid import kernel_distance


def features(n: int, channels: int, seed: int, shift: float = 0.0) -> Floats:
    """Correlated features with another mean and covariance for each seed."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(channels, channels)) / np.sqrt(channels)
    return (generator.normal(size=(n, channels)) @ mixing + shift).astype(np.float32)


def frechet_by_root(first: Floats, second: Floats) -> float:
    """The formula as pytorch-fid and clean-fid compute it: the root of the product of the covariances."""
    means = [x.astype(np.float64).mean(0) for x in (first, second)]
    covariances = [np.cov(x.astype(np.float64), rowvar=False) for x in (first, second)]
    root = linalg.sqrtm(covariances[0] @ covariances[1])
    return float(np.square(means[0] - means[1]).sum() + sum(map(np.trace, covariances)) - 2 * np.trace(root.real))


@pytest.mark.parametrize(("n", "m", "channels"), [(300, 400, 32), (200, 200, 64), (65, 400, 64)])
def test_fid_as_the_root_has_it(n: int, m: int, channels: int) -> None:
    first, second = features(n, channels, 0), features(m, channels, 1, 0.3)
    assert frechet_distance(first, second) == pytest.approx(frechet_by_root(first, second), rel=1e-6)


def test_fid_with_fewer_samples_than_channels() -> None:
    """Roots of singular products are unstable; eigenvalues, as torchmetrics takes them, are less so."""
    first, second = features(40, 64, 0), features(50, 64, 1, 0.3)
    eigenvalues = linalg.eigvals(*[np.cov(first, rowvar=False) @ np.cov(second, rowvar=False)])
    traces = sum(np.trace(np.cov(x, rowvar=False)) for x in (first, second))
    shift = np.square(first.mean(0) - second.mean(0)).sum()
    expected = shift + traces - 2 * np.sqrt(eigenvalues.astype(complex)).real.sum()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-4)


def test_fid_by_hand() -> None:
    """Variances 2 and 8 with means 0 and 3: 9 + (sqrt 2 - sqrt 8)^2 = 11; and a shift alone is its square."""
    first, second = np.array([[-1.0], [1.0]]), np.array([[1.0], [5.0]])
    assert frechet_distance(first, second) == pytest.approx(9 + 2)
    cloud = features(30, 5, 0)
    assert frechet_distance(cloud, cloud) == pytest.approx(0.0, abs=1e-6)
    assert frechet_distance(cloud, cloud + 2) == pytest.approx(5 * 4, rel=1e-5)


def test_kid_by_hand() -> None:
    """One channel: k(x, y) = (x y + 1)^3. Sets {0, 1} and {1, 2}: within 1 and 27, across (1 + 1 + 8 + 27) / 4."""
    first, second = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    assert kernel_distance(first, second) == pytest.approx(1 + 27 - 2 * 37 / 4)


@pytest.mark.parametrize("n", [50, 1500])
def test_kid_of_equal_sizes_does_not_depend_on_blocks(n: int) -> None:
    first, second = (features(n, 16, seed).astype(np.float64) for seed in range(2))
    kernels = [(x @ y.T / 16 + 1) ** 3 for x, y in ((first, first), (second, second), (first, second))]
    within = sum((kernel.sum() - np.trace(kernel)) / (n * (n - 1)) for kernel in kernels[:2])
    assert kernel_distance(first, second) == pytest.approx(within - 2 * kernels[2].mean(), rel=1e-9)


class Through(torch.nn.Module):
    """Hands features through torchmetrics as if they were images."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.num_features = channels

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return pictures.flatten(1)[:, : self.num_features]


def as_pictures(values: Floats) -> torch.Tensor:
    return torch.from_numpy(values)[:, :, None, None].expand(-1, -1, 1, 1)


@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save all")
def test_as_torchmetrics_has_them() -> None:
    first, second = features(120, 24, 0), features(120, 24, 1, 0.3)
    fid = FrechetInceptionDistance(Through(24), normalize=False, input_img_size=(24, 1, 1)).set_dtype(torch.float64)
    kid = KernelInceptionDistance(Through(24), subsets=1, subset_size=120)
    for metric in (fid, kid):
        metric.update(as_pictures(second), real=True)
        metric.update(as_pictures(first), real=False)
    assert frechet_distance(first, second) == pytest.approx(fid.compute().item(), rel=1e-4)
    assert kernel_distance(first, second) == pytest.approx(kid.compute()[0].item(), rel=1e-4)


def test_metrics_take_the_features_of_their_encoder(
    clip_path: str, build_generated: Callable[..., GeneratedBatch]
) -> None:
    encoder, batch = CLIPEncoder(clip_path, 32), build_generated(8)
    drawn, truth = (encoder(list(batch[name])).numpy() for name in ("generated_image", "person_image"))  # type: ignore[literal-required]
    for cls, expected in ((FID, frechet_distance(drawn, truth)), (KID, 1000 * kernel_distance(drawn, truth))):
        metric = cls(encoder)
        metric.update(batch)
        measured = metric.compute()
        assert measured.interval(metric.name, measured.rows()).value == pytest.approx(expected, rel=1e-5)
        alone = measured.interval(metric.name, measured.rows("ring"), Resampling(halves=20))
        assert alone.n == 4
        assert alone.low < alone.value < alone.high
