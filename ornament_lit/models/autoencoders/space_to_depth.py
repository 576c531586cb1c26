"""SpaceToDepthAutoencoder: exact latents that need no pretrained weights."""

import torch.nn.functional as F
from torch import Tensor

from ornament_lit.models.autoencoders.base import Autoencoder


class SpaceToDepthAutoencoder(Autoencoder):
    """Move blocks of pixels into channels: exact both ways and free, for small images without a pretrained VAE.

    Args:
        block_size: Pixels per latent along a side.
    """

    def __init__(self, block_size: int = 4) -> None:
        super().__init__()
        if block_size < 1:
            raise ValueError(f"block_size must be at least 1, got {block_size}")
        self.block_size = block_size
        self.downsample_factor = block_size
        self.latent_channels = 3 * block_size**2

    def encode(self, images: Tensor) -> Tensor:
        """Rearrange images, (B, 3, H, W), to (B, 3 block_size^2, H / block_size, W / block_size)."""
        return F.pixel_unshuffle(images, self.downsample_factor)

    def decode(self, latents: Tensor) -> Tensor:
        """Rearrange latents back to images; the exact inverse of :meth:`encode`."""
        return F.pixel_shuffle(latents, self.downsample_factor)
