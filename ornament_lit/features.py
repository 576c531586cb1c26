"""ReferenceFeatures: what a reference net hands to the denoiser and to the mask head.

Shape legend: B batch, N tokens of a layer, C channels of a layer, h, w latent size.
"""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class LayerTokens:
    """Tokens for one self-attention layer of the denoiser, to be appended to its keys and values.

    Attributes:
        ornament: (B, N, C) tokens of the reference ornament, row by row over its (square) map.
        person: (B, N, C) tokens of the erased person.
    """

    ornament: Tensor
    person: Tensor


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of the ornament and of the erased person.

    Attributes:
        ornament_map: f_o of the paper, (B, C, h, w); C is 0 where the reference net has none.
        person_map: f_m of the paper, (B, C, h, w).
        tokens: By the name of the denoiser's self-attention layer; empty means plain self-attention.
        context_tokens: Optional (B, L, D) tokens appended to the image tokens of the cross-attention, for
            token-only references.
        skip_residuals: Optional residuals added to the skip connections of the denoiser's encoder, from the
            highest resolution to the lowest and then of its middle block, for ControlNet-like references.
    """

    ornament_map: Tensor
    person_map: Tensor
    tokens: dict[str, LayerTokens] = field(default_factory=dict)
    context_tokens: Tensor | None = None
    skip_residuals: tuple[Tensor, ...] = ()


def tokens_to_map(tokens: Tensor, height: int, width: int) -> Tensor:
    """Lay the tokens of a layer out as a map.

    Args:
        tokens: (B, N, C), row by row.
        height: Height of anything with the aspect of the map, such as the latents.
        width: Its width.

    Returns:
        (B, C, rows, N / rows), with the aspect of height x width.
    """
    rows = round((height / width * tokens.shape[1]) ** 0.5)
    grid: Tensor = tokens.transpose(1, 2).unflatten(2, (rows, -1))
    return grid
