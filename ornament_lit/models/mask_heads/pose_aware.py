"""PoseAwareMaskHead: the iterative mask head of the paper.

Shape legend: B batch, C feature channels, h, w size of the feature maps, u up-scaling of the head.
"""

import math
from itertools import pairwise
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.models.mask_heads.base import MaskHead
from ornament_lit.models.mask_heads.criteria import CRITERIA, CriterionName
from ornament_lit.models.mask_refinement import MaskRefinement, ReferenceFunction, blend, resize_mask
from ornament_lit.models.reference_features import ReferenceFeatures
from ornament_lit.utils.schedules import ramp

PRIOR = 0.05
"""Share of a crop that an ornament covers; where training starts (Lin et al., Focal Loss, 2017, 4.1)."""


def start_at_prior(output: nn.Conv2d) -> None:
    """Let a layer of logits begin at :data:`PRIOR`.

    From 0.5, a fast learning rate overshoots to a mask of zeros, where the squared error has no gradient left.
    """
    assert output.bias is not None
    nn.init.constant_(output.bias, math.log(PRIOR / (1 - PRIOR)))


AlphaOver = Literal["training", "iterations", "denoising"]


class PoseAwareMaskHead(MaskHead):
    """Predict M_hat^t = MLP([f_m * M^(t-1), f_o]) T times, with M^t = alpha M_hat^t + (1 - alpha) M_box between.

    Args:
        num_iterations: T, at least 1; 3 is the paper's. The first was measured to give all that there is, or nearly so;
            the others cost next to nothing, unless ``rerun_reference``.
        hidden_channels: Width of the MLP; 0 for one linear layer.
        kernel_size: Odd; 1 is the paper's head, which looks at each token alone; with more, every iteration also
            passes what it found on to its neighbours.
        upscale: u, predicted mask pixels per token along a side.
        alpha_start: Alpha at the beginning, in [0, 1]; it grows linearly to 1.
        alpha_over: ``training``: alpha grows with the training step, within ``alpha_steps``; ``iterations``: it
            grows from the first iteration to the last; ``denoising``: with the stage of the denoising, from pure noise
            to none, in training by the sample's timestep, and in sampling if the sampler refreshes the mask
            (`RefreshEverySteps`). The paper has the first, a published summary of it the last.
        alpha_steps: Training steps until alpha is 1, for ``training``; 0 for alpha = 1 from the start.
        rerun_reference: Run the reference net again with every new mask, instead of the head alone.
        criterion: ``mse``, the paper's, or ``bce_dice``, which learns thin masks in fewer steps.
    """

    mlp: nn.Sequential

    def __init__(
        self,
        num_iterations: int = 3,
        hidden_channels: int = 256,
        kernel_size: int = 1,
        upscale: int = 1,
        alpha_start: float = 0.1,
        alpha_over: AlphaOver = "training",
        alpha_steps: int = 0,
        rerun_reference: bool = False,
        criterion: CriterionName = "mse",
    ) -> None:
        super().__init__()
        if num_iterations < 1:
            raise ValueError(f"num_iterations must be at least 1, got {num_iterations}; use BoxMaskHead for none")
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        if criterion not in CRITERIA:
            raise ValueError(f"criterion is one of {', '.join(CRITERIA)}, got {criterion!r}")
        if alpha_over not in get_args(AlphaOver):
            raise ValueError(f"alpha_over is one of {', '.join(get_args(AlphaOver))}, got {alpha_over!r}")
        if not 0 <= alpha_start <= 1:
            raise ValueError(f"alpha_start must lie in [0, 1], got {alpha_start}")
        self.num_iterations = num_iterations
        self.hidden_channels = hidden_channels
        self.kernel_size = kernel_size
        self.upscale = upscale
        self.alpha_start = alpha_start
        self.alpha_over = alpha_over
        self.alpha_steps = alpha_steps
        self.rerun_reference = rerun_reference
        self.criterion = criterion

    def attach(self, feature_channels: int) -> None:
        """Build the MLP.

        Raises:
            ValueError: If the reference net has no feature maps.
        """
        if feature_channels == 0:
            raise ValueError("PoseAwareMaskHead needs the feature maps of a reference net; use BoxMaskHead without one")
        widths = [2 * feature_channels, self.hidden_channels, self.upscale**2]
        widths = [width for width in widths if width > 0]
        padding = self.kernel_size // 2
        first, *rest = (nn.Conv2d(*channels, self.kernel_size, padding=padding) for channels in pairwise(widths))
        start_at_prior([first, *rest][-1])
        self.mlp = nn.Sequential(first, *(layer for convolution in rest for layer in (nn.SiLU(), convolution)))

    def alpha(self, iteration: int, step: int, denoised: Tensor | None = None) -> float | Tensor:
        """Trust in the prediction of an iteration (from 1) at a training step, or at a stage of the denoising, (B,)."""
        if self.alpha_over == "iterations":
            return ramp(self.alpha_start, iteration - 1, self.num_iterations - 1)
        if self.alpha_over == "training":
            return ramp(self.alpha_start, step, self.alpha_steps)
        return self.alpha_start if denoised is None else self.alpha_start + (1 - self.alpha_start) * denoised

    def forward(
        self,
        reference: ReferenceFunction,
        box_mask: Tensor,
        step: int,
        start: Tensor | None = None,
        denoised: Tensor | None = None,
    ) -> MaskRefinement:
        """Iterate from the box, (B, 1, h, w), or from another mask of that size."""
        first = box_mask if start is None else start
        features = reference(first)
        fine_box, mask = (F.interpolate(each, scale_factor=self.upscale, mode="nearest") for each in (box_mask, first))
        logits: list[Tensor] = []
        for iteration in range(1, self.num_iterations + 1):
            if self.rerun_reference and iteration > 1:
                features = reference(resize_mask(mask, like=box_mask).detach())
            logits.append(self.predict(features, mask))
            mask = blend(logits[-1].sigmoid(), fine_box, self.alpha(iteration, step, denoised))
        return MaskRefinement(tuple(logits), resize_mask(mask, like=box_mask).detach(), features)

    def predict(self, features: ReferenceFeatures, mask: Tensor) -> Tensor:
        """Logits of M_hat, (B, 1, h u, w u), from the features and the current mask, (B, 1, h u, w u)."""
        visible = features.person_map * resize_mask(mask, like=features.person_map)
        tokens: Tensor = self.mlp(torch.cat([visible, features.ornament_map], dim=1))
        return F.pixel_shuffle(tokens, self.upscale)

    def loss(self, refinement: MaskRefinement, wearing_mask: Tensor) -> Tensor:
        """The criterion against M_gt, averaged over the iterations, so that each of them is trained."""
        target = resize_mask(wearing_mask, like=refinement.logits[0])
        errors = [CRITERIA[self.criterion](logits.float(), target) for logits in refinement.logits]
        return torch.stack(errors).mean()
