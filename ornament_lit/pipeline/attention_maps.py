"""Where a denoiser looks at the ornament while it draws.

Shape legend: B batch, H, W picture size, h, w latent size.
"""

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, SchedulerMixin
from torch import Tensor

from ornament_lit.diffusion.noise import draw_noising
from ornament_lit.diffusion.sampler import Drawing
from ornament_lit.models.conditioning import Conditions
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_features import tokens_to_map


@torch.no_grad()
def measure_attention(
    denoiser: Denoiser,
    noise_scheduler: SchedulerMixin,
    conditions: Conditions,
    drawing: Drawing,
    sample_seed: Tensor,
    size: tuple[int, int],
) -> Tensor | None:
    """Measure the attention mass on the ornament, M~ of the mask-guided attention, in the middle of the denoising.

    The drawing is noised to the middle timestep, and the mass of the self-attention layers of the highest resolution
    is averaged over heads and layers.

    Args:
        denoiser: The trained denoiser.
        noise_scheduler: The scheduler of training, or one made of its settings.
        conditions: What was drawn from.
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
    output = denoiser(
        noising.add_noise(drawing.latents, noise, timesteps),
        timesteps,
        conditions.erased_latents,
        refinement.mask,
        conditions.image_tokens,
        refinement.features,
        conditions.ornament_mask,
        denoiser.highest_resolution_layers(),
        box_mask=conditions.box_mask,
        warp_latents=conditions.warp_latents,
    )
    maps = [tokens_to_map(mass.float(), *size) for mass in output.mass.values()]
    if not maps:
        return None
    large = [F.interpolate(each, size=size, mode="bilinear", align_corners=False) for each in maps]
    return torch.stack(large).mean(dim=0)
