"""Tiny networks that all tests of the package can use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from transformers import CLIPVisionConfig, CLIPVisionModel

from ornament_lit.attention_losses import MaskGuidedAttentionLoss
from ornament_lit.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.denoiser import Denoiser
from ornament_lit.image_encoders import NoImageEncoder
from ornament_lit.mask_heads import PoseAwareMaskHead
from ornament_lit.module import TryOnModule
from ornament_lit.reference_nets import UNetReferenceNet


@pytest.fixture
def build_unet() -> Callable[..., UNet2DConditionModel]:
    """UNet of two levels with random weights that are the same at each call."""

    def build(channels: int = 48, **options: Any) -> UNet2DConditionModel:
        torch.manual_seed(0)
        return UNet2DConditionModel(
            **{
                "in_channels": channels,
                "out_channels": channels,
                "block_out_channels": (16, 32),
                "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
                "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
                "layers_per_block": 1,
                "norm_num_groups": 8,
                "cross_attention_dim": 24,
                "attention_head_dim": 2,
                **options,
            }
        )

    return build


@pytest.fixture
def build_parts(build_unet: Callable[..., UNet2DConditionModel]) -> Callable[..., dict[str, Any]]:
    """Parts of the complete method at 32 pixels; each can be replaced by name."""

    def build(**parts: Any) -> dict[str, Any]:
        return {
            "autoencoder": SpaceToDepthAutoencoder(4),
            "image_encoder": NoImageEncoder(),
            "denoiser": parts.get("denoiser") or Denoiser(build_unet()),
            "noise_scheduler": DDPMScheduler(prediction_type="sample", clip_sample=False),
            "reference_net": UNetReferenceNet(),
            "mask_head": PoseAwareMaskHead(num_iterations=2, hidden_channels=8, upscale=2),
            "attention_loss": MaskGuidedAttentionLoss(),
            **parts,
        }

    return build


@pytest.fixture
def build_module(build_parts: Callable[..., dict[str, Any]]) -> Callable[..., TryOnModule]:
    """Complete method at 32 pixels with weights that are the same at each call; parts can be replaced by name."""

    def build(**parts: Any) -> TryOnModule:
        chosen = build_parts(**parts)
        torch.manual_seed(1)
        return TryOnModule(**chosen)

    return build


@pytest.fixture
def vae_folder(tmp_path: Path) -> Path:
    """Stable-Diffusion-like folder with a tiny random VAE; scaling factor 0.5."""
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=["DownEncoderBlock2D"] * 2,
        up_block_types=["UpDecoderBlock2D"] * 2,
        norm_num_groups=4,
        layers_per_block=1,
        scaling_factor=0.5,
    )
    vae.save_pretrained(tmp_path / "vae")
    return tmp_path


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    """Folder with a tiny random CLIP vision model: 32 pixels, patches of 8."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=32, patch_size=8
    )
    CLIPVisionModel(config).save_pretrained(tmp_path)
    return tmp_path
