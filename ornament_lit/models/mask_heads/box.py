"""BoxMaskHead: no refinement, the box is the mask."""

from torch import Tensor

from ornament_lit.models.mask_heads.base import MaskHead
from ornament_lit.models.mask_refinement import MaskRefinement, ReferenceFunction


class BoxMaskHead(MaskHead):
    """Take the box as the mask: the paper's ablation without mask refinement."""

    num_iterations = 0

    def attach(self, feature_channels: int) -> None:
        """Need nothing from the reference net."""

    def forward(
        self,
        reference: ReferenceFunction,
        box_mask: Tensor,
        step: int,
        start: Tensor | None = None,
        denoised: Tensor | None = None,
    ) -> MaskRefinement:
        """Return the box itself, without predictions."""
        return MaskRefinement(logits=(), mask=box_mask, features=reference(box_mask))

    def loss(self, refinement: MaskRefinement, wearing_mask: Tensor) -> Tensor:
        """Return 0: nothing is predicted."""
        return wearing_mask.new_zeros(())
