"""KLAutoencoder: the frozen VAE of Stable Diffusion."""

from typing import Self

import torch
from diffusers import AutoencoderKL
from torch import Tensor

from ornament_lit.models.autoencoders.base import Autoencoder
from ornament_lit.models.pretrained import freeze, load_pretrained


class KLAutoencoder(Autoencoder):
    """Diffusers' `AutoencoderKL`, frozen; latents are the mode of the posterior times the VAE's scaling factor.

    Args:
        path: A local folder in the diffusers format, or the id of a hub repository (``owner/name``).
        subfolder: Folder of the VAE inside it.
        variant: Word in the names of the files with weights, such as ``fp16``; null for none.
        revision: Branch, tag or commit of the hub repository; null for its main branch.
    """

    def __init__(
        self, path: str, subfolder: str = "vae", variant: str | None = None, revision: str | None = None
    ) -> None:
        super().__init__()
        self.vae = freeze(load_pretrained(AutoencoderKL, path, subfolder, variant=variant, revision=revision))
        self.latent_channels = self.vae.config.latent_channels
        self.scaling_factor = float(self.vae.config.scaling_factor)
        self.downsample_factor = 2 ** (len(self.vae.config.block_out_channels) - 1)

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: the VAE is never trained."""
        return super().train(False)

    @torch.no_grad()
    def encode(self, images: Tensor) -> Tensor:
        """Encode images, (B, 3, H, W) in [-1, 1], to scaled latents."""
        latents: Tensor = self.vae.encode(images).latent_dist.mode() * self.scaling_factor
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        """Decode scaled latents to images, (B, 3, H, W), about [-1, 1]."""
        images: Tensor = self.vae.decode(latents / self.scaling_factor).sample
        return images
