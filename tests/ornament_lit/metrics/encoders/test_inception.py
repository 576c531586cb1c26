"""The Inception network of 2015 against torch-fidelity's, on shared random weights."""

from pathlib import Path

import pytest
import torch

from ornament_lit.metrics.encoders import InceptionEncoder
from ornament_lit.metrics.encoders.inception import fid_inception


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights whose features differ from image to image."""
    torch.manual_seed(0)
    network = fid_inception()
    for value in network.parameters():
        if value.ndim == 4:
            torch.nn.init.kaiming_normal_(value)
    file = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(network.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def encoder(weights: Path) -> InceptionEncoder:
    """An encoder that has loaded its weights."""
    loaded = InceptionEncoder(str(weights))
    loaded.setup()
    return loaded


def test_as_torch_fidelity_has_it(weights: Path, encoder: InceptionEncoder) -> None:
    fidelity = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    second = fidelity.FeatureExtractorInceptionV3("inception", ["2048"], str(weights))
    pictures = torch.randint(0, 256, (2, 3, 299, 299), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    with torch.no_grad():
        (expected,) = second(pictures)
    ours = encoder(list(pictures / 127.5 - 1))
    assert ours.shape == (2, 2048)
    assert (expected[0] - expected[1]).abs().max() > 0.01
    assert torch.allclose(ours, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_pictures_are_resized_and_weights_hashed(encoder: InceptionEncoder) -> None:
    assert encoder([torch.zeros(3, 64, 48), torch.zeros(3, 40, 40)]).shape == (2, 2048)
    assert len(encoder.protocol()["sha256"]) == 64


def test_names_are_those_of_the_published_weights(weights: Path) -> None:
    published = torch.load(weights, weights_only=True)
    some = ("Conv2d_1a_3x3.conv.weight", "Mixed_5b.branch_pool.bn.running_mean", "Mixed_7c.branch3x3_2a.conv.weight")
    assert set(some) <= published.keys()
    assert published["fc.weight"].shape == (1008, 2048)
