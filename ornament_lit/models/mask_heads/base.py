"""MaskHead: the contract of the family."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from ornament_lit.models.mask_refinement import MaskRefinement, ReferenceFunction


class MaskHead(nn.Module, ABC):
    """Refine the coarse box to the wearing mask.

    To add one: subclass, set ``num_iterations``, implement the three methods, name the class in the YAML.

    Attributes:
        num_iterations: T, predictions per refinement; 0 for a head that predicts nothing.
    """

    num_iterations: int

    @abstractmethod
    def attach(self, feature_channels: int) -> None:
        """Build the layers that fit a reference net; called once, before training, by :class:`TryOnModule`.

        Args:
            feature_channels: C of the reference net's maps; 0 if it has none.

        Raises:
            ValueError: If the head needs maps and there are none.
        """

    @abstractmethod
    def forward(
        self,
        reference: ReferenceFunction,
        box_mask: Tensor,
        step: int,
        start: Tensor | None = None,
        denoised: Tensor | None = None,
    ) -> MaskRefinement:
        """Refine the mask from the box alone, or from an earlier mask.

        Args:
            reference: The reference net, as a function of the input mask; called once or once an iteration.
            box_mask: (B, 1, h, w) in [0, 1], at the size of the latents.
            step: Training steps taken so far, for a head whose trust in itself grows with training.
            start: The mask to start from, (B, 1, h, w) in [0, 1]; None for the box.
            denoised: How far the denoising is, (B,) in [0, 1], for a head whose trust in itself grows with it; None for
                its beginning.

        Returns:
            The refinement; logits are differentiable in the head's and the reference net's parameters, the mask
            for the denoiser is not.
        """

    @abstractmethod
    def loss(self, refinement: MaskRefinement, wearing_mask: Tensor) -> Tensor:
        """L2 of the paper: how far the predictions are from the true wearing mask.

        Args:
            refinement: What ``forward`` returned.
            wearing_mask: M_gt, (B, 1, H, W) in [0, 1], at the size of the images.

        Returns:
            A scalar, 0 for a head that predicts nothing.
        """
