"""Where a denoiser looks at the ornament while it draws.

Shape legend: B batch, H, W picture size, h, w latent size.
"""

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, SchedulerMixin
from torch import Tensor

from ornament_lit.diffusion.noise import draw_noising
from ornament_lit.diffusion.sampler import Drawing
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.reference_features import tokens_to_map
from ornament_lit.models.try_on import TryOnModel


@torch.no_grad()
def measure_attention(
    model: TryOnModel,
    noise_scheduler: SchedulerMixin,
    conditioning: Conditioning,
    drawing: Drawing,
    sample_seed: Tensor,
    size: tuple[int, int],
) -> Tensor | None:
    """Measure the attention mass on the ornament, M~ of the mask-guided attention, in the middle of the denoising.

    The drawing is noised to the middle timestep, and the mass of the self-attention layers of the highest resolution
    is averaged over heads and layers.

    Args:
        model: The trained networks.
        noise_scheduler: The scheduler of training, or one made of its settings.
        conditioning: What was drawn from.
        drawing: What was drawn.
        sample_seed: (B,) int64; the noise comes from it.
        size: (H, W) of the result.

    Returns:
        (B, 1, H, W) in [0, 1]; None where no layer has keys of the ornament.
    """
    noising = DDPMScheduler.from_config(noise_scheduler.config)  # others scale their latents in their own ways
    noise = draw_noising(sample_seed, noising.config.num_train_timesteps, drawing.latents).noise
    timesteps = torch.full_like(sample_seed, noising.config.num_train_timesteps // 2).to(noise.device)
    refinement = drawing.refinements[-1]
    noisy_latents = noising.add_noise(drawing.latents, noise, timesteps)
    layers = model.denoiser.highest_resolution_layers()
    output = model.denoise(noisy_latents, timesteps, conditioning, refinement, mass_layers=layers)
    maps = [tokens_to_map(mass.float(), *size) for mass in output.mass.values()]
    if not maps:
        return None
    large = [F.interpolate(each, size=size, mode="bilinear", align_corners=False) for each in maps]
    return torch.stack(large).mean(dim=0)
