"""InceptionEncoder: the features that FID and KID are defined on."""

from functools import cached_property
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.metrics.encoders.base import FeatureEncoder, Filter
from ornament_lit.metrics.weights import weights_file

URL = "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth"


class InceptionEncoder(FeatureEncoder):
    """The 2048 pooled features of the Inception network of 2015 (TensorFlow's), of images rounded to 8 bits.

    Images are resized to 299 px with antialiasing, as clean-fid does; FIDs with other filters cannot be compared.

    Args:
        path: A local file of weights in the form that pytorch-fid and torch-fidelity publish; None for torch's cache,
            filled from the network.
        resize: Filter of the resizing.
    """

    def __init__(self, path: str | None = None, resize: Filter = "bicubic") -> None:
        super().__init__(299, resize)
        self.path = path

    @cached_property
    def weights(self) -> Path:
        """The file of weights."""
        return weights_file(self.path, URL)

    def load(self) -> nn.Module:
        """Build the network and read its weights without unpickling."""
        network = fid_inception()
        network.load_state_dict(torch.load(self.weights, map_location="cpu", weights_only=True))
        network.fc = nn.Identity()
        return network

    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Encode images, (B, 3, 299, 299) in [-1, 1], to (B, 2048)."""
        levels = ((images + 1) * 127.5).round()
        features: Tensor = network((levels - 128) / 128)
        return features


def fid_inception() -> nn.Module:
    """The network of 2015 with random weights.

    It is torchvision's but for what TensorFlow did otherwise: 1008 classes, average pooling that leaves padding out,
    and maximum pooling in the last block. (pytorch-fid describes the differences.)
    """
    from torchvision.models import inception  # type: ignore[import-untyped]

    class A(inception.InceptionA):  # type: ignore[misc]
        def _forward(self, x: Tensor) -> list[Tensor]:
            small, large = self.branch5x5_2(self.branch5x5_1(x)), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
            return [self.branch1x1(x), small, self.branch3x3dbl_3(large), self.branch_pool(_average(x))]

    class C(inception.InceptionC):  # type: ignore[misc]
        def _forward(self, x: Tensor) -> list[Tensor]:
            once = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
            twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
            twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
            return [self.branch1x1(x), once, twice, self.branch_pool(_average(x))]

    class E(inception.InceptionE):  # type: ignore[misc]
        pool = staticmethod(_average)

        def _forward(self, x: Tensor) -> list[Tensor]:
            once = self.branch3x3_1(x)
            twice = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
            wide = torch.cat([self.branch3x3_2a(once), self.branch3x3_2b(once)], 1)
            deep = torch.cat([self.branch3x3dbl_3a(twice), self.branch3x3dbl_3b(twice)], 1)
            return [self.branch1x1(x), wide, deep, self.branch_pool(self.pool(x))]

    class LastE(E):
        pool = staticmethod(_maximum)

    network: nn.Module = inception.Inception3(num_classes=1008, aux_logits=False, init_weights=False)
    network.Mixed_5b, network.Mixed_5c, network.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
    network.Mixed_6b, network.Mixed_6c = C(768, 128), C(768, 160)
    network.Mixed_6d, network.Mixed_6e = C(768, 160), C(768, 192)
    network.Mixed_7b, network.Mixed_7c = E(1280), LastE(2048)
    return network


def _average(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _maximum(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 3, stride=1, padding=1)
