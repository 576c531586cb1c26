"""FeatureEncoder: the contract of the family."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.metrics.weights import LazyNetwork, model_folder, model_weights
from ornament_lit.utils.files import file_hash

Filter = Literal["bicubic", "bilinear"]

AT_ONCE = 64


class FeatureEncoder(ABC):
    """Turn an image into one vector.

    To add one: subclass, implement ``weights``, ``load`` and ``features``, name the class in the YAML.

    Args:
        image_size: Side of the square, in pixels, that images are resized to. An image that is no square is
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
    def features(self, network: nn.Module, images: Tensor) -> Tensor:
        """Compute the vectors.

        Args:
            network: What :meth:`load` gave.
            images: (B, 3, image_size, image_size) in [-1, 1].

        Returns:
            (B, D) float32.
        """

    def setup(self) -> None:
        """Load the weights, if they are not loaded yet."""
        self._network.on()

    @torch.no_grad()
    def __call__(self, images: Sequence[Tensor]) -> Tensor:
        """Encode images (3, h, w) in [-1, 1], of one size or of several, to (B, D) float32."""
        network = self._network.on(images[0].device)
        resized = torch.stack([resize(image, self.image_size, self.resize) for image in images])
        return torch.cat([self.features(network, part) for part in resized.split(AT_ONCE)])

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the file of weights."""
        return file_hash(self.weights)

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same features: a structure that JSON can hold."""
        size, resizing = self.image_size, f"{self.resize}, antialiased, squeezed to a square"
        return {"encoder": type(self).__name__, "sha256": self.digest, "image_size": size, "resize": resizing}


class PretrainedEncoder(FeatureEncoder):
    """Encode by a model of transformers. Subclasses implement ``load`` and ``features``.

    Args:
        path: A local folder in the transformers format, or the id of a hub repository.
        image_size: See :class:`FeatureEncoder`; other sizes than the model's own interpolate its positions.
        resize: Filter of the resizing.
    """

    def __init__(self, path: str, image_size: int, resize: Filter) -> None:
        super().__init__(image_size, resize)
        self.path = path

    @cached_property
    def folder(self) -> Path:
        """The local folder of the model."""
        return model_folder(self.path)

    @property
    def weights(self) -> Path:
        """The file of weights."""
        return model_weights(self.folder)

    def protocol(self) -> dict[str, Any]:
        """What somebody needs to know to get the same features."""
        return super().protocol() | {"path": self.path}


def resize(image: Tensor, size: int, mode: Filter) -> Tensor:
    """Resize an image (3, h, w) in [-1, 1] to (3, size, size), antialiased, without overshoot."""
    if image.shape[-2:] == (size, size):
        return image
    resized = F.interpolate(image[None], size=(size, size), mode=mode, antialias=True, align_corners=False)
    return resized[0].clamp(-1, 1)


def normalize(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Bring images, (B, 3, H, W) in [-1, 1], to the mean and deviation that an encoder was trained with."""
    as_channels = [images.new_tensor(values).view(3, 1, 1) for values in (mean, std)]
    return ((images + 1) / 2 - as_channels[0]) / as_channels[1]
