"""AttentionLoss: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ornament_lit.batch import TryOnBatch
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched
from ornament_lit.models.denoiser import Denoiser


class AttentionLoss(nn.Module, ABC):
    """Constrain where the denoiser's self-attention looks at the ornament; a training constraint only.

    To add one: subclass, implement ``layers`` and ``forward``, name the class in the YAML.
    """

    @abstractmethod
    def layers(self, denoiser: Denoiser) -> list[str]:
        """Name the layers whose attention mass the loss needs; an empty list costs nothing."""

    def points(self, denoiser: Denoiser, batch: TryOnBatch) -> dict[str, Tensor]:
        """Choose points of the person's image whose attention on each token of the ornament the loss needs.

        Args:
            denoiser: The denoiser.
            batch: Its correspondence and seeds; B samples.

        Returns:
            By layer, (B, S, 2) of x and y in [-1, 1], a function of batch and seeds alone; empty for none.
        """
        return {}

    @abstractmethod
    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Compare the attention with the ground truth.

        Args:
            mass: By layer, (B, N, 1) in [0, 1]: how much each query attends to the masked ornament, where N is the
                number of tokens of the layer's square map.
            wearing_mask: M_gt, (B, 1, H, W) in [0, 1].
            matched: The true correspondence, and where in the ornament's image the attention looked.

        Returns:
            The loss, a scalar differentiable in the mass, and the attention mask M~, (B, 1, H, W) in [0, 1].
        """
