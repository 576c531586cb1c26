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

    def check_resolution(self, resolution: int) -> None:
        """Check that images of a size can be encoded and come back at that size.

        Args:
            resolution: Their side in pixels.

        Raises:
            ValueError: If it is no multiple of ``downsample_factor``.
        """
        factor = self.downsample_factor
        if resolution < factor or resolution % factor:
            raise ValueError(f"resolution must be a multiple of {factor}, the autoencoder's factor, got {resolution}")

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
