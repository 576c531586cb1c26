"""What attention losses can learn of correspondence: the ground truth, and where the attention looked.

Shape legend: B batch, H, W image size, N tokens of a layer, M tokens of the ornament, S points.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import Correspondence, TryOnBatch
from ornament_lit.losses.diffusion import NoisyLatents
from ornament_lit.models.denoiser import DenoiserOutput

HIDDEN_WEIGHT = 0.2
"""What a point counts that is known, but hidden in the ornament's image by other parts; one that is seen counts 1."""


@dataclass(frozen=True)
class Matched:
    """The true correspondence of a batch, and what was measured of the attention beside its mass.

    Attributes:
        ground_truth: See :class:`ornament_lit.batch.Correspondence`; None where the batch has none.
        points: By layer, points of the person's image that were asked for, (B, S, 2) of x and y in [-1, 1].
        places: By layer, see :class:`ornament_lit.models.denoiser.DenoiserOutput`, (B, N, 2).
        point_attention: By layer, logarithm of the attention of the points among the ornament's tokens, (B, S, M).
    """

    ground_truth: Correspondence | None = None
    points: Mapping[str, Tensor] = field(default_factory=dict)
    places: Mapping[str, Tensor] = field(default_factory=dict)
    point_attention: Mapping[str, Tensor] = field(default_factory=dict)


NOTHING_MATCHED = Matched()
"""Of a batch without correspondence."""


def matched_of(batch: TryOnBatch, points: Mapping[str, Tensor], output: DenoiserOutput, noisy: NoisyLatents) -> Matched:
    """Put together what an attention loss may look at.

    Args:
        batch: B samples.
        points: What the loss has asked for, of B rows.
        output: Of the denoiser, for N B rows.
        noisy: What the denoiser has looked at; a row that must do without the ornament has no correspondence.
    """
    if "correspondence" not in batch:
        return NOTHING_MATCHED
    uv, known, seen = (noisy.repeat(batch["correspondence"][name]) for name in ("uv", "known", "seen"))
    ground_truth = Correspondence(uv=uv, known=noisy.where_kept(known), seen=noisy.where_kept(seen))
    asked = {name: noisy.repeat(each) for name, each in points.items()}
    return Matched(ground_truth, asked, output.places, output.point_attention)


def weights_of(known: Tensor, seen: Tensor) -> Tensor:
    """What pixels or tokens count: 0.2 for what is known, and 0.8 more for what is seen; shapes are equal."""
    return HIDDEN_WEIGHT * known + (1 - HIDDEN_WEIGHT) * seen


def mean_over_samples(errors: Tensor, weights: Tensor) -> Tensor:
    """Mean over samples of each sample's weighted mean error; 0 for a sample without weight.

    Samples without a correspondence thus add nothing, and what the others add does not depend on the batch.

    Args:
        errors: (B, N).
        weights: (B, N), not negative.

    Returns:
        A scalar.
    """
    total = weights.sum(dim=1)
    means = (weights * errors).sum(dim=1) / torch.where(total > 0, total, 1.0)
    return means.mean()


def ground_truth_of_tokens(ground_truth: Correspondence, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Bring a correspondence to the tokens of a layer, as means over the pixels that are known.

    Args:
        ground_truth: (B, 2, H, W) and twice (B, 1, H, W).
        size: Rows and columns of the layer.

    Returns:
        x and y of the true places, (B, N, 2), and what each token counts, (B, N) in [0, 1].
    """
    known, seen, weighted = (
        F.interpolate(each.float(), size=size, mode="area")
        for each in (ground_truth["known"], ground_truth["seen"], ground_truth["known"] * ground_truth["uv"])
    )
    uv = weighted / torch.where(known > 0, known, 1.0)
    return uv.flatten(2).transpose(1, 2), weights_of(known, seen).flatten(1)


def ground_truth_at(ground_truth: Correspondence, points: Tensor) -> tuple[Tensor, Tensor]:
    """Take a correspondence at points.

    Args:
        ground_truth: (B, 2, H, W) and twice (B, 1, H, W).
        points: (B, S, 2) of x and y in [-1, 1]; each means the pixel that it lies in.

    Returns:
        x and y of the true places, (B, S, 2), and what each point counts, (B, S): 0 where nothing is known, else 0.2
        to 1, by the share of what is known that is seen.
    """
    everything = torch.cat([ground_truth["uv"], ground_truth["known"], ground_truth["seen"]], dim=1).float()
    taken = F.grid_sample(everything, points[:, None].float(), mode="nearest", align_corners=False)[:, :, 0]
    uv, known, seen = taken.split((2, 1, 1), dim=1)
    weights = weights_of((known > 0).to(seen.dtype), seen / torch.where(known > 0, known, 1.0))
    return uv.transpose(1, 2), weights.squeeze(1)
