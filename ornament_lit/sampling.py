"""The denoising loop: from noise to the latents of the person wearing the ornament."""

import copy

import torch
from diffusers import SchedulerMixin
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from ornament_lit.conditions import Conditions
from ornament_lit.denoiser import Denoiser
from ornament_lit.mask_refinement import MaskRefinement
from ornament_lit.noising import generators_of


@torch.no_grad()
def denoise(
    denoiser: Denoiser,
    noise_scheduler: SchedulerMixin,
    conditions: Conditions,
    refinement: MaskRefinement,
    sample_seed: Tensor,
    num_steps: int,
) -> Tensor:
    """Draw latents from noise, with the reference features and the mask computed once.

    Args:
        denoiser: The trained denoiser.
        noise_scheduler: A scheduler of diffusers; it is copied, not changed.
        conditions: Encoded conditions of the batch.
        refinement: Mask and reference features.
        sample_seed: (B,) int64; each sample's noise depends on its own seed alone.
        num_steps: Denoising steps.

    Returns:
        Latents, (B, c, h, w).
    """
    scheduler = copy.deepcopy(noise_scheduler)
    scheduler.set_timesteps(num_steps)
    generators = generators_of(sample_seed)
    like = conditions.erased_latents
    latents: Tensor = randn_tensor(tuple(like.shape), generators, like.device, like.dtype) * scheduler.init_noise_sigma
    for timestep in scheduler.timesteps:
        output = denoiser(
            scheduler.scale_model_input(latents, timestep),
            timestep.expand(len(latents)).to(latents.device),
            conditions.erased_latents,
            refinement.mask,
            conditions.image_tokens,
            refinement.features,
            conditions.ornament_mask,
        )
        latents = scheduler.step(output.prediction, timestep, latents, generator=generators).prev_sample
    return latents
