"""FeatureEncoder: the contract of the family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.metrics.weights import LazyNetwork, sha256

Filter = Literal["bicubic", "bilinear"]

AT_ONCE = 64


class FeatureEncoder(ABC):
    """Turn a picture into one vector.

    To add one: subclass, implement ``weights``, ``load`` and ``features``, name the class in the YAML.

    Args:
        image_size: Side of the square, in pixels, that pictures are resized to. A picture that is no square is
            squeezed: nothing is cut off, since an ornament may well be at the edge.
        resize: Filter of the resizing; it is antialiased.
    """

    def __init__(self, image_size: int, resize: Filter) -> None:
        self.image_size = image_size
        self.resize = resize
        self._network = LazyNetwork(self.load)

    @property
    @abstractmethod
    def weights(self) -> Path:
        """The file of weights.

        Raises:
            FileNotFoundError: If it is absent; it says which file to bring where.
        """

    @abstractmethod
    def load(self) -> nn.Module:
        """Load the network."""

    @abstractmethod
    def features(self, network: nn.Module, pictures: Tensor) -> Tensor:
        """Compute the vectors.

        Args:
            network: What :meth:`load` gave.
            pictures: (B, 3, image_size, image_size) in [-1, 1].

        Returns:
            (B, D) float32.
        """

    def setup(self) -> None:
        """Load the weights, if they are not loaded yet."""
        self._network.on()

    @torch.no_grad()
    def __call__(self, pictures: Sequence[Tensor]) -> Tensor:
        """Encode pictures (3, h, w) in [-1, 1], of one size or of several, to (B, D) float32."""
        network = self._network.on(pictures[0].device)
        resized = torch.stack([resize(picture, self.image_size, self.resize) for picture in pictures])
        return torch.cat([self.features(network, part) for part in resized.split(AT_ONCE)])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file of weights."""
        return sha256(self.weights)

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same features: a structure that JSON can hold."""
        size, resizing = self.image_size, f"{self.resize}, antialiased, squeezed to a square"
        return {"encoder": type(self).__name__, "sha256": self.digest, "image_size": size, "resize": resizing}


def resize(picture: Tensor, size: int, mode: Filter) -> Tensor:
    """Resize a picture (3, h, w) in [-1, 1] to (3, size, size), antialiased, without overshoot."""
    if picture.shape[-2:] == (size, size):
        return picture
    resized = F.interpolate(picture[None], size=(size, size), mode=mode, antialias=True, align_corners=False)
    return resized[0].clamp(-1, 1)


def normalize(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Bring pictures, (B, 3, H, W) in [-1, 1], to the mean and deviation that an encoder was trained with."""
    as_channels = [pictures.new_tensor(values).view(3, 1, 1) for values in (mean, std)]
    return ((pictures + 1) / 2 - as_channels[0]) / as_channels[1]
