"""Autoencoder: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Autoencoder(nn.Module, ABC):
    """Turn images into latents and back.

    To add one: subclass, set the two attributes, implement ``encode`` and ``decode``, name the class in the YAML.

    Attributes:
        latent_channels: Channels of the latents.
        downsample_factor: Pixels per latent along a side.
    """

    latent_channels: int
    downsample_factor: int

    @abstractmethod
    def encode(self, images: Tensor) -> Tensor:
        """Encode images, without randomness.

        Args:
            images: (B, 3, H, W) in [-1, 1]; H and W divisible by ``downsample_factor``.

        Returns:
            Latents of about unit variance, (B, latent_channels, H / downsample_factor, W / downsample_factor).
        """

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """Decode latents.

        Args:
            latents: As :meth:`encode` returns them.

        Returns:
            Images, (B, 3, H, W), about [-1, 1].
        """
