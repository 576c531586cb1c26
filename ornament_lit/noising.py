"""Noising of latents: timesteps and noise from each sample's seed, and what the denoiser should predict."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor


def generators_of(sample_seed: Tensor) -> list[torch.Generator]:
    """One generator for each sample, on the CPU, seeded by its own seed; ``sample_seed`` is (B,) int64."""
    return [torch.Generator().manual_seed(seed) for seed in sample_seed.tolist()]


class Noising(NamedTuple):
    """What is drawn for a training step.

    Attributes:
        timesteps: (B,) int64.
        noise: Standard normal, (B, c, h, w).
        given: (B,) bool; False for the samples that must do without the ornament's features.
    """

    timesteps: Tensor
    noise: Tensor
    given: Tensor


def draw_noising(
    sample_seed: Tensor, num_timesteps: int, like: Tensor, condition_dropout: float = 0.0, draws: int = 1
) -> Noising:
    """Draw timestep, noise and whether it is given its conditions for each sample, from a generator of its own.

    The draw depends on the seeds alone: not on batch size, rank, device or global random state.

    Args:
        sample_seed: (B,) int64.
        num_timesteps: Timesteps are uniform in [0, num_timesteps).
        like: (B, c, h, w); shape, device and dtype of the noise.
        condition_dropout: Chance of a sample to do without its conditions, in [0, 1].
        draws: How often, one after the other from the same generators; all first draws come first.

    Returns:
        Entries of ``draws`` B rows.
    """
    generators = generators_of(sample_seed)
    drawn = [_draw(generators, num_timesteps, like, condition_dropout) for _ in range(draws)]
    return Noising(*(torch.cat(entries) for entries in zip(*drawn, strict=True)))


def _draw(generators: list[torch.Generator], num_timesteps: int, like: Tensor, condition_dropout: float) -> Noising:
    timesteps = torch.cat([torch.randint(num_timesteps, (1,), generator=generator) for generator in generators])
    noise = randn_tensor(tuple(like.shape), generator=generators, device=like.device, dtype=like.dtype)
    chances = torch.cat([torch.rand(1, generator=generator) for generator in generators])
    return Noising(timesteps.to(like.device), noise, (chances >= condition_dropout).to(like.device))


def prediction_target(noise_scheduler: SchedulerMixin, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Choose what the denoiser should predict, by the scheduler's ``prediction_type``.

    Args:
        noise_scheduler: A scheduler of diffusers.
        latents: Clean latents, (B, c, h, w).
        noise: The noise added to them, (B, c, h, w).
        timesteps: (B,) int64.

    Returns:
        The noise (``epsilon``), the latents (``sample``) or the velocity (``v_prediction``), (B, c, h, w).
    """
    kind = noise_scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    if kind == "sample":
        return latents
    velocity: Tensor = noise_scheduler.get_velocity(latents, noise, timesteps)
    return velocity


def denoising_loss(prediction: Tensor, target: Tensor, wearing_mask: Tensor, worn_weight: float = 0.0) -> Tensor:
    """Mean squared error of a prediction, L1 of the paper, with more weight where the ornament is worn.

    Args:
        prediction: (B, c, h, w).
        target: (B, c, h, w).
        wearing_mask: (B, 1, h, w) in [0, 1].
        worn_weight: A position inside the mask counts 1 + ``worn_weight`` times as much as one outside; 0 for the
            paper's plain mean.

    Returns:
        The weighted mean over all positions of the batch, a scalar.
    """
    weights = 1 + worn_weight * wearing_mask
    errors = (prediction.float() - target.float()).square().mean(1, keepdim=True)
    return (weights * errors).sum() / weights.sum() if worn_weight else F.mse_loss(prediction.float(), target.float())
