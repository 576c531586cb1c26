"""MaskGuidedAttentionLoss: L3 of the paper."""

import torch.nn.functional as F
from torch import Tensor

from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.reference_features import attention_mask_of


class MaskGuidedAttentionLoss(AttentionLoss):
    """L3 = ||M~ - M_gt||^2: the queries that draw the ornament, and only those, attend to the ornament.

    M~ is the attention mass on the masked ornament keys, of the self-attention layers of the highest resolution in
    encoder and decoder, averaged over heads and layers and up-sampled to the images.
    """

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for the layers of the highest resolution in encoder and decoder."""
        return denoiser.highest_resolution_layers()

    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Return the mean squared error of M~ against M_gt, and M~."""
        if not mass:
            raise ValueError(
                "mask-guided attention needs a reference net that gives tokens to the highest-resolution layers, "
                "and no direct_masking; use ZeroAttentionLoss otherwise"
            )
        attention_mask = attention_mask_of(mass, like=wearing_mask)
        return F.mse_loss(attention_mask, wearing_mask), attention_mask
