"""A way from the denoiser's inputs to its prediction, around a UNet whose stem is too narrow to carry them.

Shape legend: B batch, c latent channels, h, w latent size.
"""

import torch
import torch.nn.functional as F
from diffusers.models.embeddings import get_timestep_embedding
from torch import Tensor, nn

TIME_FEATURES = 32


class NoInputSkip(nn.Module):
    """Whatever the prediction needs of the inputs goes through the UNet."""

    def forward(self, prediction: Tensor, inputs: Tensor, timesteps: Tensor) -> Tensor:
        """Return the prediction, (B, c, h, w)."""
        return prediction


class InputSkip(nn.Module):
    """A linear map of the inputs, weighed by the timestep, that is added to the prediction; 0 at the beginning.

    How much of the noisy latents belongs into a prediction depends on the noise in them, as in the skip connection of
    Karras et al., 2022 (arXiv 2206.00364, equation 7); so each input channel is weighed by 1 plus a learned function,
    linear in sines and cosines of the timestep.

    Args:
        in_channels: Channels of the inputs, 2c + 1.
        out_channels: c.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(out_channels, in_channels))
        self.time_weight = nn.Parameter(torch.zeros(in_channels, TIME_FEATURES))

    def forward(self, prediction: Tensor, inputs: Tensor, timesteps: Tensor) -> Tensor:
        """Add what the inputs bring.

        Args:
            prediction: Of the UNet, (B, c, h, w).
            inputs: (B, 2c + 1, h, w).
            timesteps: (B,).

        Returns:
            (B, c, h, w).
        """
        time = get_timestep_embedding(timesteps, TIME_FEATURES).to(self.time_weight.dtype)
        weights = 1 + F.linear(time, self.time_weight)
        return prediction + F.conv2d(inputs * weights[:, :, None, None], self.weight[:, :, None, None])
