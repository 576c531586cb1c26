"""Tiny networks that all tests of the package can use."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from small_unets import EVERYWHERE, stock_unet
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

from ornament_lit.batch import TryOnBatch
from ornament_lit.imaging.frames import apply_affine, pixel_grid
from ornament_lit.losses.attention import MaskGuidedAttentionLoss
from ornament_lit.models.autoencoders import SpaceToDepthAutoencoder
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.image_encoders import NoImageEncoder
from ornament_lit.models.mask_heads import PoseAwareMaskHead
from ornament_lit.models.reference_nets import UNetReferenceNet
from ornament_lit.models.warps import PoseAwareWarp
from ornament_lit.module import TryOnModule


@pytest.fixture
def build_unet() -> Callable[..., UNet2DConditionModel]:
    """UNet of two levels with random weights that are the same at each call."""

    def build(channels: int = 48, **options: Any) -> UNet2DConditionModel:
        torch.manual_seed(0)
        return stock_unet(**{"in_channels": channels, "out_channels": channels, "layout": EVERYWHERE, **options})

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
def build_warp() -> Callable[..., PoseAwareWarp]:
    """PoseAwareWarp at 32 pixels with weights that are the same at each call, and none of them zero."""

    def build(noise: float = 0.05, **options: Any) -> PoseAwareWarp:
        torch.manual_seed(2)
        tiny = {"size": 32, "turns": 4, "pose_channels": 40, "pose_hidden": 16, "stem_channels": 8, "channels": 16}
        warp = PoseAwareWarp(**{**tiny, "heads": 2, **options})
        with torch.no_grad():
            for parameter in warp.parameters():
                parameter.add_(noise * torch.randn_like(parameter))
        return warp

    return build


@pytest.fixture
def worn_batch() -> Callable[..., TryOnBatch]:
    """Ornaments worn by a known similarity, uv = A (x, y) + t; each of four rows is shifted a little further."""

    def picture(uv: Tensor) -> tuple[Tensor, Tensor]:
        u, v = uv[:, :1], uv[:, 1:]
        mask = (6 - 6 * ((u / 0.8) ** 2 + (v / 0.5) ** 2)).clamp(0, 1)
        return torch.cat([u, v, (3 * u).cos()], dim=1).clamp(-1, 1), mask

    def build(
        batch_size: int = 2,
        resolution: int = 32,
        linear: tuple[tuple[float, float], tuple[float, float]] = ((0.0, -1.6), (1.6, 0.0)),
        wide_view: float | None = 1.5,
        detail: int = 2,
    ) -> TryOnBatch:
        grid = pixel_grid((resolution, resolution), torch.zeros(())).repeat(batch_size, 1, 1, 1)
        shift = torch.tensor([[0.1, -0.05]]) + 0.05 * (torch.arange(batch_size)[:, None] % 4)
        uv = apply_affine(torch.tensor(linear).repeat(batch_size, 1, 1), shift, grid)
        colours, worn = picture(uv)
        box = ((grid[:, :1].abs() < 0.6) & (grid[:, 1:].abs() < 0.75)).float()
        worn = worn * box
        skin = torch.cat([0.5 + 0.2 * grid, 0.3 - 0.1 * grid[:, :1]], dim=1)
        ornament, mask = picture(grid)
        known = (worn > 0).float() * worn
        batch: TryOnBatch = {
            "ornament_image": ornament,
            "ornament_mask": mask,
            "person_image": skin + (colours - skin) * worn,
            "wearing_mask": worn,
            "box_mask": box,
            "category": ["bracelet"] * batch_size,
            "key": [f"sample-{row}" for row in range(batch_size)],
            "sample_seed": torch.arange(1, batch_size + 1),
            "correspondence": {"uv": uv * (known > 0), "known": known, "seen": known},
        }
        if wide_view is not None:
            wide = wide_view * grid
            inside = ((wide[:, :1].abs() < 0.6) & (wide[:, 1:].abs() < 0.75)).float()
            image = torch.cat([0.5 + 0.2 * wide, 0.3 - 0.1 * wide[:, :1]], dim=1)
            factor = torch.full((batch_size,), wide_view)
            batch["wide_view"] = {"image": image, "box_mask": inside, "factor": factor}
        if detail > 1:
            size = (detail * resolution, detail * resolution)
            finer = picture(pixel_grid(size, torch.zeros(())).repeat(batch_size, 1, 1, 1))
            batch["ornament_detail"] = {"image": finer[0], "mask": finer[1]}
        return batch

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


@pytest.fixture
def clip_embedding_folder(tmp_path: Path) -> Path:
    """Folder with a tiny random CLIP vision model of two layers, with a projection to 768 channels."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        projection_dim=768,
    )
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path / "clip_embedding")
    return tmp_path / "clip_embedding"


@pytest.fixture
def dinov2_folder(tmp_path: Path) -> Path:
    """Folder with a tiny random DINOv2: patches of 14, made for 42 pixels."""
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=42, patch_size=14)
    Dinov2Model(config).save_pretrained(tmp_path / "dinov2")
    return tmp_path / "dinov2"
