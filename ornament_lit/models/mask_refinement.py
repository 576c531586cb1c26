"""The iterative wearing mask: M^t = alpha M_hat^t + (1 - alpha) M_box, and what a refinement returns."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.models.reference_features import ReferenceFeatures, choose, fill_rows

ReferenceFunction = Callable[[Tensor], ReferenceFeatures]
"""Features for an input mask, (B, 1, h, w) in [0, 1]: the reference net with the images already given."""


@dataclass(frozen=True)
class MaskRefinement:
    """Result of a mask head.

    Attributes:
        logits: One prediction per iteration before the sigmoid, each (B, 1, h u, w u) with u the head's up-scaling;
            empty for a head that predicts nothing.
        mask: The mask for the denoiser, (B, 1, h, w) in [0, 1].
        features: Features of the reference net for the denoiser, of B rows; of 2B for a guided step in which samples
            without their ornament have features of their own.
    """

    logits: tuple[Tensor, ...]
    mask: Tensor
    features: ReferenceFeatures

    @property
    def predictions(self) -> tuple[Tensor, ...]:
        """M_hat^1 ... M_hat^T in [0, 1], each (B, 1, h u, w u)."""
        return tuple(logits.sigmoid() for logits in self.logits)

    def upsample(self, like: Tensor) -> Tensor:
        """Up-sample the predictions to the size of the images, without gradient.

        Args:
            like: A mask of that size, (B, 1, H, W).

        Returns:
            (T, B, 1, H, W) in [0, 1].
        """
        size = (like.shape[-2], like.shape[-1])
        masks = [
            F.interpolate(prediction.detach().float(), size=size, mode="bilinear", align_corners=False)
            for prediction in self.predictions
        ]
        return torch.stack(masks) if masks else like.new_zeros(0, *like.shape)


def choose_refinement(rows: Tensor, first: MaskRefinement, second: MaskRefinement) -> MaskRefinement:
    """Take the rows of one refinement, where ``rows``, (B,) bool, are True, or of another."""
    logits, mask = choose(rows, (first.logits, first.mask), (second.logits, second.mask))
    both = fill_rows(rows, len(first.features.ornament_map))
    return MaskRefinement(logits, mask, choose(both, first.features, second.features))


def blend(prediction: Tensor, box_mask: Tensor, alpha: float | Tensor) -> Tensor:
    """Next input mask, alpha M_hat + (1 - alpha) M_box.

    Args:
        prediction: M_hat^t, (B, 1, h, w) in [0, 1].
        box_mask: M_box of the same shape.
        alpha: Trust in the prediction, in [0, 1]; a number, or (B,).
    """
    if isinstance(alpha, Tensor):
        alpha = alpha.view(-1, 1, 1, 1).to(prediction.dtype)
    return alpha * prediction + (1.0 - alpha) * box_mask


def resize_mask(mask: Tensor, like: Tensor) -> Tensor:
    """Bring a mask, (B, 1, H, W), to the height and width of another tensor by area averaging."""
    size = like.shape[-2:]
    return mask if mask.shape[-2:] == size else F.interpolate(mask, size=size, mode="area")
