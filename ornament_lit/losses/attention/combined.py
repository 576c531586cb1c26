"""CombinedAttentionLoss: several constraints on the attention at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ornament_lit.batch import TryOnBatch
from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched
from ornament_lit.models.denoiser import Denoiser


class CombinedAttentionLoss(AttentionLoss):
    """A weighted sum of attention losses, such as the paper's L3 and one on correspondence.

    Layers that several of them ask for are measured once. M~ is the largest of theirs at each pixel; one that measures
    no mass has an empty one.

    Args:
        losses: At least one.
        weights: As many, not negative; null for 1 each.

    Raises:
        ValueError: If there is no loss, or the weights do not fit.
    """

    def __init__(self, losses: list[AttentionLoss], weights: list[float] | None = None) -> None:
        super().__init__()
        self.weights = [1.0] * len(losses) if weights is None else list(weights)
        if not losses or len(self.weights) != len(losses) or not all(weight >= 0 for weight in self.weights):
            raise ValueError(
                f"there must be at least one loss, and one weight for each, not negative; got {len(losses)} losses and "
                f"the weights {self.weights}"
            )
        self.losses = nn.ModuleList(losses)
        self.layers_of: list[list[str]] = [[] for _ in losses]

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for the layers of all losses."""
        self.layers_of = [loss.layers(denoiser) for loss in self._losses()]
        return list(dict.fromkeys(name for names in self.layers_of for name in names))

    def points(self, denoiser: Denoiser, batch: TryOnBatch) -> dict[str, Tensor]:
        """Ask for the points of all losses.

        Raises:
            ValueError: If two of them ask the same layer.
        """
        asked: dict[str, Tensor] = {}
        for loss in self._losses():
            points = loss.points(denoiser, batch)
            twice = sorted(asked.keys() & points.keys())
            if twice:
                raise ValueError(
                    f"one loss alone may ask a layer for points, got two for {twice[0]}; name other layers"
                )
            asked |= points
        return asked

    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Return the weighted sum and the largest M~."""
        total, masks = wearing_mask.new_zeros(()), []
        for loss, weight, names in zip(self._losses(), self.weights, self.layers_of, strict=True):
            value, attention_mask = loss({name: mass[name] for name in names if name in mass}, wearing_mask, matched)
            total = total + weight * value
            masks.append(attention_mask)
        return total, torch.stack(masks).amax(dim=0)

    def _losses(self) -> Sequence[AttentionLoss]:
        return [loss for loss in self.losses if isinstance(loss, AttentionLoss)]
