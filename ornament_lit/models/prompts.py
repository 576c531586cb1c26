"""Prompts: tokens that tell the networks in words what ornament it is."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prompts:
    """Tokens of a prompt encoder for one batch; without prompts, P and D are 0.

    Attributes:
        tokens: What the denoiser's cross-attention is told, (B, P, D).
        null: What it is told in the unconditional half of a guided step, (B, P, D).
        reference: What a reference net's cross-attention is told, (B, P, D).
    """

    tokens: Tensor
    null: Tensor
    reference: Tensor
