"""ExpectedPositionLoss: where in the ornament's image each query looks on average, against where it should.

Shape legend: B batch, H, W image size, N tokens of a layer.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import Correspondence, TryOnBatch
from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched, ground_truth_of_tokens, mean_over_samples
from ornament_lit.losses.first_batch import FirstBatch
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_features import attention_mask_of
from ornament_lit.models.token_places import grid_size

LEAST_MASS = 1e-3
"""A query's place is divided by its mass on the ornament, at least this, so that gradients stay finite."""


class ExpectedPositionLoss(AttentionLoss):
    """The mean place that a query attends to is the one that it shows: smooth L1 of (u, v) where it is known.

    With attention A, the ornament's mask m and the places u of its tokens, query i looks at
    ``sum_j A_ij m_j u_j / sum_j A_ij m_j``. Both sums ride in the extra value columns that give the attention mass, at
    the cost of fused attention, for every query. Sums are averaged over heads first. Tokens count by the share of their
    pixels that is known; what is hidden in the ornament's image counts a fifth. Samples without a correspondence add
    nothing. A mean can be right while the attention is spread: see `CorrespondenceAttentionLoss`. Combine it with
    `MaskGuidedAttentionLoss`, which asks the same layers for their mass, by `CombinedAttentionLoss`.

    Args:
        beta: Errors below it, in half sides of the image, count by their square; 0 for plain L1.

    Raises:
        ValueError: If ``beta`` is negative.
    """

    def __init__(self, beta: float = 0.05) -> None:
        super().__init__()
        if not beta >= 0:
            raise ValueError(f"beta must not be negative, got {beta}; 0 gives plain L1")
        self.beta = beta
        self.first_batch = FirstBatch(f"{type(self).__name__} learns")

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for the layers of the highest resolution in encoder and decoder."""
        return denoiser.highest_resolution_layers()

    def points(self, denoiser: Denoiser, batch: TryOnBatch) -> dict[str, Tensor]:
        """Ask for no points; look whether there is anything to learn."""
        self.first_batch.look_at(batch, self.training)
        return {}

    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Return the mean error over layers, and M~.

        Raises:
            ValueError: If no layer attended to the ornament.
        """
        if not mass:
            raise ValueError(
                "a loss on correspondence needs a reference net that gives tokens to the highest-resolution layers, "
                "and no direct_masking; use ZeroAttentionLoss otherwise"
            )
        attention_mask = attention_mask_of(mass, like=wearing_mask)
        if matched.ground_truth is None:
            return 0 * attention_mask.sum(), attention_mask
        losses = [
            self._loss(each.float(), matched.places[name].float(), matched.ground_truth, wearing_mask)
            for name, each in mass.items()
        ]
        return torch.stack(losses).mean(), attention_mask

    def _loss(self, mass: Tensor, places: Tensor, ground_truth: Correspondence, like: Tensor) -> Tensor:
        """Loss of one layer, from its mass (B, N, 1) and its places weighted by it (B, N, 2)."""
        uv, weights = ground_truth_of_tokens(ground_truth, grid_size(mass.shape[1], like))
        expected = places / mass.clamp(min=LEAST_MASS)
        errors = F.smooth_l1_loss(expected, uv, beta=self.beta, reduction="none").sum(dim=-1)
        return mean_over_samples(errors, weights)
