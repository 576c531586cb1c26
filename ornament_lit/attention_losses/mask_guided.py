"""MaskGuidedAttentionLoss: L3 of the paper."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.attention_losses.base import AttentionLoss
from ornament_lit.denoiser import Denoiser


class MaskGuidedAttentionLoss(AttentionLoss):
    """L3 = ||M~ - M_gt||^2: the queries that draw the ornament, and only those, attend to the ornament.

    M~ is the attention mass on the masked ornament keys, of the self-attention layers of the highest resolution in
    encoder and decoder, averaged over heads and layers and up-sampled to the pictures.
    """

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for the layers of the highest resolution in encoder and decoder."""
        return denoiser.highest_resolution_layers()

    def forward(self, mass: dict[str, Tensor], wearing_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean squared error of M~ against M_gt, and M~."""
        size = (wearing_mask.shape[-2], wearing_mask.shape[-1])
        if not mass:
            raise ValueError(
                "mask-guided attention needs a reference net that gives tokens to the highest-resolution layers, "
                "and no direct_masking; use ZeroAttentionLoss otherwise"
            )
        maps = [_to_map(layer, size) for layer in mass.values()]
        attention_mask = torch.stack(maps).mean(dim=0)
        return F.mse_loss(attention_mask, wearing_mask), attention_mask


def _to_map(mass: Tensor, size: tuple[int, int]) -> Tensor:
    """Lay a layer's mass, (B, N, 1), out as a map of the pictures' aspect and up-sample it to (B, 1, H, W)."""
    rows = round((size[0] / size[1] * mass.shape[1]) ** 0.5)
    grid = mass.transpose(1, 2).unflatten(2, (rows, -1)).float()
    return F.interpolate(grid, size=size, mode="bilinear", align_corners=False)
