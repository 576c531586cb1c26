"""ReferenceFeatures: what a reference net hands to the denoiser and to the mask head.

Shape legend: B batch, N tokens of a layer, C channels of a layer, h, w latent size.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LayerTokens:
    """Tokens for one self-attention layer of the denoiser, to be appended to its keys and values.

    Attributes:
        ornament: (B, N, C) tokens of the reference ornament, row by row over its (square) map.
        person: (B, M, C) tokens of the masked person; M may be 0.
        raw: The tokens are inputs of a transformer block as they are; the denoiser's own layer normalises them, as it
            does its own. Else they are normalised already.
    """

    ornament: Tensor
    person: Tensor
    raw: bool = False


@dataclass(frozen=True)
class ProjectedTokens:
    """Tokens of a layer after its key and value projections, so that a frozen reference is projected once.

    Attributes:
        key: (B, heads, M, d), first the ornament's tokens, then the person's.
        value: (B, heads, M, d).
        num_ornament: How many of the M tokens are the ornament's.
    """

    key: Tensor
    value: Tensor
    num_ornament: int


@dataclass(frozen=True)
class ReferenceFeatures:
    """Features of the ornament and of the masked person.

    Attributes:
        ornament_map: f_o of the paper, (B, C, h, w); C is 0 where the reference net has none.
        person_map: f_m of the paper, (B, C, h, w).
        tokens: By the name of the denoiser's self-attention layer; empty means plain self-attention. A denoiser can
            project them once for many steps, see :meth:`ornament_lit.models.denoiser.Denoiser.project`.
        context_tokens: Optional (B, L, D) tokens appended to the image tokens of the cross-attention, for
            token-only references.
        skip_residuals: Optional residuals added to the skip connections of the denoiser's encoder, from the
            highest resolution to the lowest and then of its middle block, for ControlNet-like references.
        own_null: Samples that are not given their ornament have features of their own, which the denoiser takes as they
            are; else it withholds the features from them.
    """

    ornament_map: Tensor
    person_map: Tensor
    tokens: Mapping[str, LayerTokens | ProjectedTokens] = field(default_factory=dict)
    context_tokens: Tensor | None = None
    skip_residuals: tuple[Tensor, ...] = ()
    own_null: bool = False

    def without_tensors(self) -> "ReferenceFeatures":
        """The same kind of features with maps of no channels and nothing else, which take no memory."""
        return ReferenceFeatures(self.ornament_map[:, :0], self.person_map[:, :0], own_null=self.own_null)


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


def attention_mask_of(mass: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """M~: the attention mass of layers, (B, N, 1) each, up-sampled and averaged.

    Args:
        mass: By layer; at least one.
        like: A tensor of the size that is wanted, (..., H, W).

    Returns:
        (B, 1, H, W).
    """
    size = (like.shape[-2], like.shape[-1])
    maps = [
        F.interpolate(tokens_to_map(layer, *size).float(), size=size, mode="bilinear", align_corners=False)
        for layer in mass.values()
    ]
    return torch.stack(maps).mean(dim=0)


def choose(rows: Tensor, first: Any, second: Any) -> Any:  # noqa: ANN401
    """Take the rows of one nest of tensors or of another.

    Args:
        rows: (B,) bool; True for the first.
        first: A tensor (B, ...), or dataclasses, mappings and tuples of such; None stays None.
        second: A nest of the same structure.

    Returns:
        A nest of the same structure.
    """

    def where(one: Tensor, other: Tensor) -> Tensor:
        return torch.where(rows.view(-1, *[1] * (one.ndim - 1)), one, other)

    return map_tensors(where, first, second)


def repeat_rows(nest: Any, times: int) -> Any:  # noqa: ANN401
    """Put a batch behind itself: (B, ...) tensors of a nest, see :func:`choose`, become (``times`` B, ...)."""
    return nest if times == 1 else map_tensors(lambda tensor: torch.cat([tensor] * times), nest)


def fill_rows(nest: Any, rows: int) -> Any:  # noqa: ANN401
    """Put the tensors of a nest behind themselves, see :func:`repeat_rows`, until each of them has so many rows."""
    return map_tensors(lambda tensor: repeat_rows(tensor, rows // len(tensor)), nest)


def first_rows(nest: Any, rows: int) -> Any:  # noqa: ANN401
    """The first rows of the tensors of a nest, see :func:`choose`."""
    return map_tensors(lambda tensor: tensor[:rows], nest)


def map_tensors(function: Callable[..., Tensor], first: Any, *others: Any) -> Any:  # noqa: ANN401
    """Apply a function to the tensors of nests of one structure: dataclasses, mappings and tuples; None stays None."""
    if isinstance(first, Tensor):
        return function(first, *others)
    if isinstance(first, Mapping):
        return {name: map_tensors(function, value, *(other[name] for other in others)) for name, value in first.items()}
    if isinstance(first, tuple):
        return tuple(map_tensors(function, *entries) for entries in zip(first, *others, strict=True))
    if first is None or isinstance(first, int):
        return first
    names = [part.name for part in fields(first)]
    parts = {name: map_tensors(function, *(getattr(nest, name) for nest in (first, *others))) for name in names}
    return type(first)(**parts)
