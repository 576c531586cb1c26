"""Autoencoders: between images and the latents that are denoised."""

from ornament_lit.models.autoencoders.base import Autoencoder
from ornament_lit.models.autoencoders.kl import KLAutoencoder
from ornament_lit.models.autoencoders.space_to_depth import SpaceToDepthAutoencoder

__all__ = ["Autoencoder", "KLAutoencoder", "SpaceToDepthAutoencoder"]
