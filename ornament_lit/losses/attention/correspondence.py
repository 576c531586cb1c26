"""CorrespondenceAttentionLoss: cross-entropy of the attention at points whose place on the ornament is known.

Shape legend: B batch, H, W image size, M tokens of the ornament, S points.
"""

import torch
from torch import Tensor

from ornament_lit.batch import TryOnBatch, generators_of
from ornament_lit.losses.attention.base import AttentionLoss
from ornament_lit.losses.attention.matched import NOTHING_MATCHED, Matched, ground_truth_at, mean_over_samples
from ornament_lit.losses.first_batch import FirstBatch
from ornament_lit.models.denoiser import Denoiser
from ornament_lit.models.token_places import grid_size, token_centres

STREAM = 0x6D617463
"""Mixed into a sample's seed, so that its points are not drawn from the numbers that its noise is drawn from."""


class CorrespondenceAttentionLoss(AttentionLoss):
    """Each point where the ornament is worn attends to the same point of the ornament's image (CAMEO, 2512.03045).

    One layer is taken, and of each sample some worn pixels, drawn from its seed in proportion to what is known of them:
    the loss is the cross-entropy of their attention among the ornament's tokens (averaged over heads) against a
    Gaussian around the true place, less that Gaussian's entropy, so that perfect attention costs nothing. Points that
    are hidden in the ornament's image count a fifth. Samples without a correspondence add nothing. The map of all
    queries is never made. How much of the attention goes to the ornament is not asked for here: combine it with
    `MaskGuidedAttentionLoss` by `CombinedAttentionLoss`.

    Args:
        layer: Name of the self-attention layer; null for the decoder's first one of the highest resolution.
        num_points: S, points a sample.
        width: Standard deviation of the Gaussian, in tokens.

    Raises:
        ValueError: If ``num_points`` is less than 1 or ``width`` is not above 0.
    """

    def __init__(self, layer: str | None = None, num_points: int = 64, width: float = 0.7) -> None:
        super().__init__()
        if num_points < 1 or not width > 0:
            raise ValueError(
                f"num_points must be at least 1 and width greater than 0, got {num_points} and {width}; 64 and 0.7 are "
                "usual"
            )
        self.layer = layer
        self.num_points = num_points
        self.width = width
        self.chosen = layer
        self.first_batch = FirstBatch(f"{type(self).__name__} learns")

    def layers(self, denoiser: Denoiser) -> list[str]:
        """Ask for the mass of no layer."""
        self.chosen = self._choose(denoiser)
        return []

    def points(self, denoiser: Denoiser, batch: TryOnBatch) -> dict[str, Tensor]:
        """Draw points where the correspondence is known."""
        self.first_batch.look_at(batch, self.training)
        if "correspondence" not in batch:
            return {}
        known = batch["correspondence"]["known"]
        return {self._choose(denoiser): draw_points(known, batch["sample_seed"], self.num_points)}

    def forward(
        self, mass: dict[str, Tensor], wearing_mask: Tensor, matched: Matched = NOTHING_MATCHED
    ) -> tuple[Tensor, Tensor]:
        """Return the cross-entropy less the target's entropy, and an empty attention mask.

        Raises:
            ValueError: If the layer did not attend to the ornament.
        """
        nothing = torch.zeros_like(wearing_mask)
        if matched.ground_truth is None:
            return wearing_mask.new_zeros(()), nothing
        attention = matched.point_attention.get(str(self.chosen))
        if attention is None:
            raise ValueError(
                f"a loss on correspondence needs a reference net that gives tokens to {self.chosen}, and no "
                "direct_masking; use ZeroAttentionLoss otherwise"
            )
        uv, weights = ground_truth_at(matched.ground_truth, matched.points[str(self.chosen)])
        target = log_gaussian(uv, grid_size(attention.shape[-1], wearing_mask), self.width)
        divergence = (target.exp() * (target - attention)).sum(dim=-1)
        return mean_over_samples(divergence, weights), nothing

    def _choose(self, denoiser: Denoiser) -> str:
        if self.layer is None:
            return next(name for name in denoiser.highest_resolution_layers() if name.startswith("up_blocks"))
        known = denoiser.self_attention_layers()
        if self.layer not in known:
            raise ValueError(f"layer must be a self-attention layer of the UNet, got {self.layer}; take one of {known}")
        return self.layer


def draw_points(known: Tensor, sample_seed: Tensor, count: int) -> Tensor:
    """Draw pixels with replacement, in proportion to what is known of them.

    Args:
        known: (B, 1, H, W) in [0, 1].
        sample_seed: (B,) int64; the points of a sample depend on its own seed and mask alone.
        count: S.

    Returns:
        Centres of pixels, (B, S, 2) of x and y in [-1, 1]; anywhere for a sample of which nothing is known.
    """
    height, width = known.shape[-2:]
    shares = torch.stack([torch.rand(count, generator=each) for each in generators_of(sample_seed ^ STREAM)])
    sums = known.flatten(1).double().cumsum(dim=1)
    pixels = torch.searchsorted(sums, shares.to(sums) * sums[:, -1:], right=True).clamp(max=height * width - 1)
    return token_centres(height, width, device=known.device)[pixels]


def log_gaussian(uv: Tensor, size: tuple[int, int], width: float) -> Tensor:
    """Logarithm of a Gaussian around places, over the tokens of a layer, which sums to 1.

    Args:
        uv: (B, S, 2) of x and y in [-1, 1].
        size: Rows and columns of the layer, M tokens.
        width: Standard deviation in tokens.

    Returns:
        (B, S, M).
    """
    rows, columns = size
    centres = token_centres(rows, columns, device=uv.device)
    apart = (uv[:, :, None] - centres) * torch.tensor([columns / 2, rows / 2], device=uv.device)
    return (-apart.square().sum(dim=-1) / (2 * width**2)).log_softmax(dim=-1)
