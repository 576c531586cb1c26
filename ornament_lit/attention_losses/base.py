"""AttentionLoss: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ornament_lit.denoiser import Denoiser


class AttentionLoss(nn.Module, ABC):
    """Constrain where the denoiser's self-attention looks at the ornament; a training constraint only.

    To add one: subclass, implement ``layers`` and ``forward``, name the class in the YAML.
    """

    @abstractmethod
    def layers(self, denoiser: Denoiser) -> list[str]:
        """Name the layers whose attention mass the loss needs; an empty list costs nothing."""

    @abstractmethod
    def forward(self, mass: dict[str, Tensor], wearing_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Compare the attention mass with the true wearing mask.

        Args:
            mass: By layer, (B, N, 1) in [0, 1]: how much each query attends to the masked ornament, where N is the
                number of tokens of the layer's square map.
            wearing_mask: M_gt, (B, 1, H, W) in [0, 1].

        Returns:
            The loss, a scalar differentiable in the mass, and the attention mask M~, (B, 1, H, W) in [0, 1].
        """
