"""Where a denoiser looks at the ornament while it generates.

Shape legend: B batch, H, W image size, h, w latent size.
"""

from dataclasses import replace

import torch
from diffusers import DDPMScheduler, SchedulerMixin
from torch import Tensor

from ornament_lit.diffusion.noise import draw_noising
from ornament_lit.diffusion.sampler import SamplerOutput
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import attention_mask_of
from ornament_lit.models.try_on import TryOnModel


@torch.no_grad()
def measure_attention(
    model: TryOnModel,
    noise_scheduler: SchedulerMixin,
    conditioning: Conditioning,
    generated: SamplerOutput,
    sample_seed: Tensor,
    like: Tensor,
) -> Tensor | None:
    """Measure the attention mass on the ornament, M~ of the mask-guided attention, in the middle of the denoising.

    The generated image is noised to the middle timestep, and the mass of the self-attention layers of the highest
    resolution is averaged over heads and layers.

    Args:
        model: The trained networks.
        noise_scheduler: The scheduler of training, or one made of its settings.
        conditioning: What was generated from.
        generated: What was generated.
        sample_seed: (B,) int64; the noise comes from it.
        like: A tensor of the size of the result, (..., H, W).

    Returns:
        (B, 1, H, W) in [0, 1]; None where no layer has keys of the ornament.
    """
    noising = DDPMScheduler.from_config(noise_scheduler.config)  # others scale their latents in their own ways
    noise = draw_noising(sample_seed, noising.config.num_train_timesteps, generated.latents).noise
    timesteps = torch.full_like(sample_seed, noising.config.num_train_timesteps // 2).to(noise.device)
    refinement = generated.refinements[-1]
    if model.reference_net.per_step:
        refinement = model.refine(replace(conditioning, timesteps=timesteps), start=refinement.mask)
    noisy_latents = noising.add_noise(generated.latents, noise, timesteps)
    layers = model.denoiser.highest_resolution_layers()
    output = model.denoise(noisy_latents, timesteps, conditioning, refinement, mass_layers=layers)
    return attention_mask_of(output.mass, like) if output.mass else None
