"""A stock UNet that a test can afford, none of its weights where it starts."""

from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import nn

EVERYWHERE = (("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"))
"""Types of the blocks down and up of a UNet with attention in all of them."""
LIKE_SD15 = (("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D"))
"""Types of the blocks of a UNet without attention at its lowest resolution."""
DIM = 24
"""Channels of a token."""


def shake(part: nn.Module, seed: int) -> None:
    """Move all weights, those of norms among them: at their start these are alike in all networks."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in part.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))


def build_unet(
    seed: int, in_channels: int, out_channels: int = 4, layout: tuple[tuple[str, ...], ...] = LIKE_SD15, **options: Any
) -> UNet2DConditionModel:
    torch.manual_seed(seed)
    sizes = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 2}
    blocks = {"down_block_types": layout[0], "up_block_types": layout[1]}
    channels = {"in_channels": in_channels, "out_channels": out_channels, "cross_attention_dim": DIM}
    unet = UNet2DConditionModel(**{**sizes, **blocks, **channels, **options}).eval()
    shake(unet, seed)
    return unet
