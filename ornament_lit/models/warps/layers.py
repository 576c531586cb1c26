"""Layers of warps.

Shape legend: B batch, C channels, N tokens, M tokens of the context, H, W size of a map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GROUPS = 8
STRIDE = 8
"""Pixels between the tokens of :func:`token_encoder`."""


def zero_init(layer: nn.Linear | nn.Conv2d, deviation: float = 0.0) -> nn.Linear | nn.Conv2d:
    """Let a layer begin by saying nothing, or next to nothing."""
    nn.init.normal_(layer.weight, std=deviation) if deviation else nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class ResidualBlock(nn.Module):
    """Two convolutions beside an identity, which is all there is at the beginning; (B, C, H, W) to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm, self.conv1 = nn.GroupNorm(GROUPS, channels), nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = zero_init(nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Add the two convolutions."""
        result: Tensor = x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))
        return result


def token_encoder(channels: int, width: int, out: int) -> nn.Sequential:
    """Convolutions from an image of ``channels`` to a map of ``out`` channels at an eighth of its size."""
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * channels, width, 3, padding=1),
        ResidualBlock(width),
        nn.Conv2d(width, 2 * width, 4, 2, 1),
        ResidualBlock(2 * width),
        ResidualBlock(2 * width),
        nn.Conv2d(2 * width, out, 4, 2, 1),
        ResidualBlock(out),
    )


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Attention written out: with a few hundred tokens its backward pass is faster on a CPU than the fused one.

    Args:
        query: (B, heads, N, d).
        key: (B, heads, M, d).
        value: (B, heads, M, d).

    Returns:
        (B, heads, N, d).
    """
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    found: Tensor = logits.softmax(-1).to(value.dtype) @ value
    return found


class ContextAttention(nn.Module):
    """Let each position of a map look at all the others and at a context; (B, C, H, W) to the same shape."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.context_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query, self.key_value = nn.Linear(channels, channels), nn.Linear(channels, 2 * channels)
        self.out = nn.Linear(channels, channels)
        zero_init(self.out)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Add what attention finds; the context is (B, M, C)."""
        tokens = x.flatten(2).transpose(1, 2)
        key, value = self._split(self.key_value(self.context_norm(torch.cat([tokens, context], dim=1)))).chunk(
            2, dim=-1
        )
        found = attend(self._split(self.query(self.norm(tokens))), key, value)
        change: Tensor = self.out(found.transpose(1, 2).flatten(2)).transpose(1, 2)
        return x + change.reshape(x.shape)

    def _split(self, tokens: Tensor) -> Tensor:
        heads: Tensor = tokens.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        return heads
