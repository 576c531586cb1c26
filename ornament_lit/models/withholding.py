"""Conditions, and what stands in their place for the samples that are not given them.

Shape legend: B batch.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def join_tokens(image_tokens: Tensor, pick: Callable[[Tensor], Tensor], context_tokens: Tensor | None) -> Tensor:
    """Append the reference's context tokens, as they are picked, if it has any, to the image tokens."""
    return image_tokens if context_tokens is None else torch.cat([image_tokens, pick(context_tokens)], dim=1)


def cross_tokens(prompt: Tensor | None, image_tokens: Tensor) -> Tensor:
    """What a cross-attention attends to, [prompt ; image tokens], (B, P + L, D); either of them may be absent."""
    if prompt is None:
        return image_tokens
    return torch.cat([prompt, image_tokens], dim=1) if image_tokens.shape[1] else prompt


def and_null(condition: Tensor, null: Tensor | None = None) -> Tensor:
    """A condition for the first half of a guided step, and ``null`` (None for zeros) for the second, (2B, ...)."""
    return torch.cat([condition, torch.zeros_like(condition) if null is None else null])


def given_or(keep_condition: Tensor | None, condition: Tensor, null: Tensor | None = None) -> Tensor:
    """A condition, (B, ...), and for the samples that are not given it ``null``, (B, ...); None for zeros."""
    if keep_condition is None:
        return condition
    kept = keep_condition.view(-1, *[1] * (condition.ndim - 1))
    return condition * kept.to(condition.dtype) if null is None else torch.where(kept, condition, null)
