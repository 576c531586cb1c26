"""Noising of latents: timesteps and noise from each sample's seed, and what the denoiser should predict.

Schedulers of diffusers compute in the type of the latents, and in 16 bits the noise of the first timesteps vanishes: so
latents are noised in float32 at least.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ornament_lit.batch import generators_of
from ornament_lit.diffusion.timesteps import TimestepSampler, UniformTimesteps


class Noising(NamedTuple):
    """What is drawn for a training step.

    Attributes:
        timesteps: (B,) int64.
        noise: Standard normal, (B, c, h, w).
        keep_condition: (B,) bool; False for the samples that must do without the ornament's features.
    """

    timesteps: Tensor
    noise: Tensor
    keep_condition: Tensor


def draw_noising(
    sample_seed: Tensor,
    num_timesteps: int,
    like: Tensor,
    condition_dropout: float = 0.0,
    num_noise_samples: int = 1,
    offset_noise: float = 0.0,
    timesteps: TimestepSampler | None = None,
) -> Noising:
    """Draw timestep, noise and whether it is given its conditions for each sample, from a generator of its own.

    The draw depends on the seeds alone: not on batch size, rank, device or global random state.

    Args:
        sample_seed: (B,) int64.
        num_timesteps: Timesteps are in [0, num_timesteps).
        like: (B, c, h, w); shape, device and dtype of the noise.
        condition_dropout: Chance of a sample to do without its conditions, in [0, 1].
        num_noise_samples: How often, one after the other from the same generators; all first draws come first.
        offset_noise: Standard deviation of what is added to all positions of a channel alike (Guttenberg, Diffusion
            with Offset Noise, 2023); 0 for none, which draws nothing more.
        timesteps: Which timesteps are drawn; None for all alike.

    Returns:
        Entries of ``num_noise_samples`` B rows.
    """
    generators = generators_of(sample_seed)
    steps = timesteps or UniformTimesteps()

    def draw_timesteps() -> Tensor:
        return torch.cat([steps.draw(num_timesteps, generator) for generator in generators])

    drawn = [
        _draw(generators, draw_timesteps(), like, condition_dropout, offset_noise) for _ in range(num_noise_samples)
    ]
    return Noising(*(torch.cat(entries) for entries in zip(*drawn, strict=True)))


def _draw(
    generators: list[torch.Generator], timesteps: Tensor, like: Tensor, condition_dropout: float, offset_noise: float
) -> Noising:
    def normal(*size: int) -> Tensor:
        shape = (*like.shape[:2], *size)
        drawn: Tensor = randn_tensor(shape, generator=generators, device=like.device, dtype=like.dtype)
        return drawn

    noise = normal(*like.shape[2:])
    chances = torch.cat([torch.rand(1, generator=generator) for generator in generators])
    if offset_noise:
        noise = noise + offset_noise * normal(1, 1)
    return Noising(timesteps.to(like.device), noise, (chances >= condition_dropout).to(like.device))


def at_least_float32(tensor: Tensor) -> Tensor:
    """The same numbers in float32, or in their own type where that is wider."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def denoised_share(noise_scheduler: SchedulerMixin, timesteps: Tensor) -> Tensor:
    """How far the denoising is at timesteps of any shape: 0 at the last one of training, pure noise, and 1 at 0."""
    last: int = max(noise_scheduler.config.num_train_timesteps - 1, 1)
    return (1 - timesteps / last).clamp(0, 1)


def add_noise(noise_scheduler: SchedulerMixin, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """Add noise to latents, computed in float32 at least.

    Args:
        noise_scheduler: A scheduler of diffusers.
        latents: (B, c, h, w).
        noise: (B, c, h, w).
        timesteps: (B,), or (1,) for all samples.

    Returns:
        Noisy latents in the type of ``latents``, (B, c, h, w).
    """
    noisy: Tensor = noise_scheduler.add_noise(at_least_float32(latents), at_least_float32(noise), timesteps)
    return noisy.to(latents.dtype)


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
    velocity: Tensor = noise_scheduler.get_velocity(at_least_float32(latents), at_least_float32(noise), timesteps)
    return velocity


def min_snr_weights(noise_scheduler: SchedulerMixin, timesteps: Tensor, gamma: float) -> Tensor:
    """Weights of the samples by Min-SNR-gamma (Hang et al., 2023, arXiv 2303.09556), for any ``prediction_type``.

    With SNR = alpha_bar / (1 - alpha_bar), an error of the latents counts min(SNR, gamma) times. The same error of the
    latents is SNR times as large in the noise and SNR + 1 times as large in the velocity (both squared), so that the
    weight is divided by that; all three losses are then the same.

    Args:
        noise_scheduler: A scheduler of diffusers with ``alphas_cumprod``.
        timesteps: (B,) int64.
        gamma: The largest weight; 5 in the paper.

    Returns:
        (B,) float32, not negative.
    """
    alphas: Tensor = noise_scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    snr = alphas / (1 - alphas)
    kind = noise_scheduler.config.prediction_type
    if kind == "epsilon":
        return (gamma / snr).clamp(max=1)
    return snr.clamp(max=gamma) / (1 if kind == "sample" else snr + 1)


def velocity_weights(noise_scheduler: SchedulerMixin, timesteps: Tensor) -> Tensor:
    """Weights of the samples by which an error of the latents counts about as an error of the velocity.

    With sigma^2 = 1 - alpha_bar, the velocity that a guess of the latents stands for is off by 1 / sigma times as much
    as the guess, so that its squared error counts 1 / sigma^2 times (SNR + 1 in Salimans and Ho, 2022, arXiv
    2202.00512, section 4). That grows without bound where there is little noise; so it is 1 / (sigma^2 + 0.08) / 3.5,
    from 0.26 for pure noise to 3.57 for none.

    Args:
        noise_scheduler: A scheduler of diffusers with ``alphas_cumprod`` and ``prediction_type: sample``.
        timesteps: (B,) int64.

    Returns:
        (B,) float32.
    """
    alphas: Tensor = noise_scheduler.alphas_cumprod.to(timesteps.device)[timesteps].float()
    return 1 / (1 - alphas + 0.08) / 3.5


def denoising_loss(
    prediction: Tensor,
    target: Tensor,
    wearing_mask: Tensor,
    foreground_weight: float = 0.0,
    sample_weights: Tensor | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """Mean squared error of a prediction, L1 of the paper, with more weight where the ornament is worn.

    Args:
        prediction: (B, c, h, w).
        target: (B, c, h, w).
        wearing_mask: (B, 1, h, w) in [0, 1].
        foreground_weight: A position inside the mask counts 1 + ``foreground_weight`` times as much as one outside; 0
            for the paper's plain mean.
        sample_weights: (B,) factors of the samples' errors, such as :func:`min_snr_weights`; None for 1. Unlike the
            weights of positions they are not divided by their sum.
        counted: (B, 1, h, w), 0 for positions that do not count; None where all do.

    Returns:
        The weighted mean over all positions of the batch that count, a scalar.
    """
    if sample_weights is None and not foreground_weight and counted is None:
        return F.mse_loss(prediction.float(), target.float())
    weights = 1 + foreground_weight * wearing_mask
    if counted is not None:
        weights = counted * weights
    errors = weights * (prediction.float() - target.float()).square().mean(1, keepdim=True)
    if sample_weights is not None:
        errors = sample_weights.view(-1, 1, 1, 1) * errors
    return errors.sum() / weights.sum()
