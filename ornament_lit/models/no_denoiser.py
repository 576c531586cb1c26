"""NoDenoiser: what a warp says is what is generated."""

from typing import Any

import torch
from torch import Tensor, nn

from ornament_lit.models.denoiser import Denoiser, DenoiserOutput
from ornament_lit.models.known_pixels import NothingKnown
from ornament_lit.models.reference_features import ReferenceFeatures

__all__ = ["NoDenoiser"]

NO_STEPS = "NoDenoiser generates nothing; set model.sampler.init_args.strength to 0, the warp's composite"


class NoDenoiser(Denoiser):
    """Do not denoise: train a warp alone, and generate what it says.

    The sampler must begin at the warp's composite and take no step (``strength: 0``). Reference net and mask head
    have nothing to fit to: take `NoReferenceNet` and `BoxMaskHead`.
    """

    latent_channels = 0
    warp_condition = warp_residual = known_pixels = decoupled_tokens = False

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.unet = None
        self.inputs = []
        self.known = NothingKnown()

    def noised(self, latents: Tensor) -> Tensor:
        """One position: nothing is learned from the noise, and drawing all of it on the CPU would take its time."""
        return latents[..., :1, :1]

    def drop_cross_attention(self) -> None:
        """There is none."""

    def self_attention_layers(self) -> list[str]:
        """There is none."""
        return []

    def highest_resolution_layers(self) -> list[str]:
        """There is none."""
        return []

    def project(self, features: ReferenceFeatures) -> ReferenceFeatures:
        """Return the features as they are."""
        return features

    def forward(self, noisy_latents: Tensor, *_: Any, **__: Any) -> DenoiserOutput:  # noqa: ANN401
        """Predict zeros."""
        return DenoiserOutput(torch.zeros_like(noisy_latents), {})

    def guided(self, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        """Say what must be set.

        Raises:
            ValueError: Always.
        """
        raise ValueError(NO_STEPS)
