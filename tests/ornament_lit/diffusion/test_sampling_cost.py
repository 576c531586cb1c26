"""What sampling costs at full size, counted: Stable Diffusion 1.5's UNet at 512 pixels on the meta device."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from ornament_lit.diffusion.refresh_policies import RefreshEverySteps, RefreshOnce, RefreshPolicy
from ornament_lit.diffusion.sampler import Sampler
from ornament_lit.models.conditioning import Conditioning
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.mask_heads import PoseAwareMaskHead
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.models.try_on import TryOnModel

STEPS = 30


TRAINED: Any = SimpleNamespace(config=SimpleNamespace(num_train_timesteps=1000))


class CountedSampler(Sampler):
    """A sampler whose scheduler computes nothing, since it costs nothing."""

    def scheduler_for(self, noise_scheduler: object) -> SimpleNamespace:
        return SimpleNamespace(
            config=TRAINED.config,
            timesteps=torch.arange(self.num_steps),
            init_noise_sigma=1.0,
            set_timesteps=lambda num_steps, device: None,
            scale_model_input=lambda latents, timestep: latents,
            step=lambda prediction, timestep, latents: SimpleNamespace(prev_sample=latents),
        )


@pytest.fixture(scope="module")
def cost():
    """FLOPs of guided sampling over those of guided plain inpainting, by policy."""
    autoencoder = SimpleNamespace(latent_channels=4, downsample_factor=8)
    image_encoder = SimpleNamespace(num_tokens=257, token_dim=768)
    with torch.device("meta"):
        unet = UNet2DConditionModel(in_channels=9, cross_attention_dim=768, attention_head_dim=8)
        parts = (Denoiser(unet), UNetReferenceNet("canvas"), PoseAwareMaskHead(num_iterations=3))
        model = TryOnModel(autoencoder, image_encoder, *parts)  # type: ignore[arg-type]
        plain = UNet2DConditionModel.from_config(unet.config)
        latents, mask = torch.empty(1, 4, 64, 64), torch.empty(1, 1, 64, 64)
        conditioning = Conditioning(torch.empty(1, 3, 512, 512), latents, latents, mask, mask, torch.empty(1, 257, 768))
        inputs, tokens = torch.empty(1, 9, 64, 64), torch.empty(1, 77, 768)

    def count(run) -> int:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            run()
        return counter.get_total_flops()

    timestep = torch.zeros((), device="meta")
    for network in (model, plain):
        network.requires_grad_(False)
    baseline = 2 * STEPS * count(lambda: plain(inputs, timestep, tokens))

    def draw(policy: RefreshPolicy, steps: int) -> None:
        CountedSampler(steps, 2.0, refresh=policy)(model, TRAINED, conditioning, torch.zeros(1).long())

    def measure(policy: RefreshPolicy) -> float:
        """All steps but the first cost the same."""
        one, two = (count(lambda steps=steps: draw(policy, steps)) for steps in (1, 2))
        return (one + (STEPS - 1) * (two - one)) / baseline

    return measure


@pytest.mark.slow
def test_a_frozen_reference_costs_a_third_more_than_plain_inpainting(cost) -> None:
    ratio = cost(RefreshOnce())
    print(f"frozen: {ratio:.3f}")
    assert 1.0 < ratio <= 1.35


@pytest.mark.slow
def test_a_reference_at_each_step_costs_more_than_twice_as_much(cost) -> None:
    ratio = cost(RefreshEverySteps())
    print(f"each step: {ratio:.3f}")
    assert 2.0 < ratio < 2.6
