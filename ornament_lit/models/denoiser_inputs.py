"""What a denoiser's UNet looks at, channel by channel, in which order.

Shape legend: B batch, c latent channels, h, w latent size.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from torch import Tensor

Input = Literal["noisy", "mask", "erased", "keep"]
"""``noisy`` latents (c channels), latents of the ``erased`` person (c), the current ``mask`` (1), or 1 - mask to
``keep`` (1)."""


def check_inputs(inputs: Sequence[str]) -> None:
    """Check the names of a UNet's inputs.

    Raises:
        ValueError: If one is unknown or named twice, or the noisy latents are not the first.
    """
    known = get_args(Input)
    if set(inputs) - set(known) or len(set(inputs)) < len(inputs) or list(inputs[:1]) != ["noisy"]:
        raise ValueError(f"inputs must be noisy and then any of {', '.join(known[1:])}, each once, got {list(inputs)}")


def count_channels(inputs: Sequence[str], latent_channels: int) -> int:
    """Channels of these inputs together."""
    return sum(latent_channels if name in ("noisy", "erased") else 1 for name in inputs)


def join_inputs(inputs: Sequence[str], noisy: Tensor, erased: Tensor, mask: Tensor) -> Tensor:
    """Put inputs behind one another.

    Args:
        inputs: Their names.
        noisy: Noisy latents, (B, c, h, w).
        erased: Latents of the person with the box masked out, (B, c, h, w).
        mask: Current wearing mask, (B, 1, h, w) in [0, 1].

    Returns:
        (B, channels, h, w).
    """
    tensors = {"noisy": noisy, "erased": erased, "mask": mask, "keep": 1 - mask}
    return torch.cat([tensors[name] for name in inputs], dim=1)
