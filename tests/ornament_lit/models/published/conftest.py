"""Small folders in the published formats, and the models that they are for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

State = dict[str, Tensor]
CLIP = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2, "image_size": 32, "patch_size": 8}


@pytest.fixture
def shaken() -> Callable[[nn.Module, int], nn.Module]:
    """A module of which no weight is zero or one."""

    def shake(module: nn.Module, seed: int) -> nn.Module:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
        return module.eval()

    return shake


@pytest.fixture
def stock_unet(build_unet, shaken) -> Callable[..., UNet2DConditionModel]:
    """UNet of four latent channels; each seed gives other weights."""

    def build(in_channels: int, seed: int, **options: object) -> UNet2DConditionModel:
        return shaken(build_unet(4, in_channels=in_channels, **options), seed)

    return build


@pytest.fixture
def stock_vae(shaken) -> Callable[..., AutoencoderKL]:
    """VAE of Stable Diffusion, tiny; each level but the first halves the sides."""

    def build(levels: int, seed: int) -> AutoencoderKL:
        blocks = {"down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels}
        sizes = {"block_out_channels": (8,) * levels, "norm_num_groups": 4, "scaling_factor": 0.18215}
        torch.manual_seed(0)
        return shaken(AutoencoderKL(**sizes, **blocks), seed)

    return build


@pytest.fixture
def clip_at(shaken) -> Callable[..., Path]:
    """Write a tiny CLIP vision model of 32 pixels."""

    def write(folder: Path, seed: int, layers: int = 2) -> Path:
        config = CLIPVisionConfig(num_hidden_layers=layers, projection_dim=24, **CLIP)
        shaken(CLIPVisionModelWithProjection(config), seed).save_pretrained(folder)
        return folder

    return write


@pytest.fixture
def resampler_state() -> Callable[[str], State]:
    """IP-Adapter's resampler by its published names: 4 queries of width 64, from 16 to 24 channels, 4 blocks."""

    def build(prefix: str) -> State:
        both = ("weight", "bias")
        shapes: dict[str, tuple[int, ...]] = {
            "latents": (1, 4, 64),
            "proj_in.weight": (64, 16),
            "proj_in.bias": (64,),
            "proj_out.weight": (24, 64),
            **{name: (24,) for name in ("proj_out.bias", "norm_out.weight", "norm_out.bias")},
        }
        for block in (f"layers.{i}" for i in range(4)):
            shapes |= {f"{block}.{norm}.{kind}": (64,) for norm in ("0.norm1", "0.norm2", "1.0") for kind in both}
            shapes |= {f"{block}.0.{name}.weight": (64, 64) for name in ("to_q", "to_out")}
            shapes |= {
                f"{block}.{name}.weight": size for name, size in {"0.to_kv": (128, 64), "1.1": (256, 64)}.items()
            }
            shapes |= {f"{block}.1.3.weight": (64, 256)}
        generator = torch.Generator().manual_seed(5)
        return {f"{prefix}{name}": torch.randn(shape, generator=generator) for name, shape in shapes.items()}

    return build


@pytest.fixture
def write_state() -> Callable[[State, Path], Path]:
    """Write tensors as safetensors."""

    def write(state: State, path: Path) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
        return path

    return write
