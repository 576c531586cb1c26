"""Stock UNets that a test can afford."""

from functools import partial
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

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


def stock_unet(
    in_channels: int, out_channels: int = 4, layout: tuple[tuple[str, ...], ...] = LIKE_SD15, **options: Any
) -> UNet2DConditionModel:
    """A UNet of diffusers of two levels; ``options`` are more of its arguments."""
    sizes = {"block_out_channels": (16, 32), "layers_per_block": 1, "norm_num_groups": 8, "attention_head_dim": 2}
    blocks = {"down_block_types": layout[0], "up_block_types": layout[1]}
    channels = {"in_channels": in_channels, "out_channels": out_channels, "cross_attention_dim": DIM}
    return UNet2DConditionModel(**{**sizes, **blocks, **channels, **options})


def build_unet(seed: int, *channels: int, **options: Any) -> UNet2DConditionModel:
    """A :func:`stock_unet` whose weights are the same for a seed, none of them where it starts."""
    torch.manual_seed(seed)
    unet = stock_unet(*channels, **options).eval()
    shake(unet, seed)
    return unet


def seen_in(unet: nn.Module, names: list[str], *arguments: Any) -> dict[str, tuple[Tensor, Tensor]]:
    """First argument and output of some modules of a network in a call of it, by their names."""
    seen: dict[str, tuple[Tensor, Tensor]] = {}

    def note(part: nn.Module, given: tuple[Tensor, ...], output: Tensor, name: str) -> None:
        seen[name] = given[0], output

    hooks = [unet.get_submodule(name).register_forward_hook(partial(note, name=name)) for name in names]
    unet(*arguments)
    for hook in hooks:
        hook.remove()
    return seen
