"""Warp: the contract of the family.

Shape legend: B batch, H, W size of the person's crop, h, w size of the wider view, k factor of the ornament's detail.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Self

import torch
from torch import Tensor, nn

from ornament_lit.batch import Correspondence, TryOnBatch, WideView, input_mask, shown_or, visible_person
from ornament_lit.imaging.sliding import field_weight
from ornament_lit.imaging.texture import lit, sample_texture, spread_colours

NO_WIDE_VIEW = "this warp looks at a wider view of the person; set data.wide_view, such as 1.8"
SHARES = 1000
"""In so many parts a share of the samples is told."""


@dataclass(frozen=True)
class WarpInputs:
    """What a warp is told.

    Attributes:
        masked_person: The person with box and input mask replaced by mid grey, or without the ornament where the
            batch shows it, (B, 3, H, W) in [-1, 1].
        box_mask: (B, 1, H, W).
        input_mask: The box, or a mask that is known better, (B, 1, H, W) in [0, 1].
        ornament_image: The ornament on mid grey, (B, 3, H, W) in [-1, 1].
        ornament_mask: Where it is, (B, 1, H, W) in [0, 1].
        texture: What is sampled, (B, 4, k H, k W): the ornament's colours in [-1, 1], carried on beyond its mask, and
            its mask.
        wide_view: The same person in a wider crop; None where the data have no such view.
    """

    masked_person: Tensor
    box_mask: Tensor
    input_mask: Tensor
    ornament_image: Tensor
    ornament_mask: Tensor
    texture: Tensor
    wide_view: WideView | None = None


@dataclass(frozen=True)
class WarpOutput:
    """What a warp says.

    Attributes:
        uv: The point of the ornament's image that each pixel would show, (B, 2, H, W), in the coordinates of
            :class:`ornament_lit.batch.Correspondence`; smooth, and defined beyond the ornament, too.
        visibility: How much of that point is seen, not hidden by the body, (B, 1, H, W) in [0, 1].
        coverage: Predicted wearing mask, (B, 1, H, W) in [0, 1]: the ornament's own mask at ``uv``, times visibility.
        gain: Light on the ornament, the factor of its colours from black on, (B, 3, H, W); smooth.
        skin: The person without the ornament but with its shadow, (B, 3, H, W) in [-1, 1]; predicted in the box, given
            outside of it.
        composite: The ornament, lit and laid over the skin, (B, 3, H, W) in [-1, 1].
        confidence: How far the warp trusts itself: minus the logarithm of the error of ``uv`` that it expects, (B,).
        warped: The ornament's colours at ``uv`` before the light, (B, 3, H, W) in [-1, 1].
    """

    uv: Tensor
    visibility: Tensor
    coverage: Tensor
    gain: Tensor
    skin: Tensor
    composite: Tensor
    confidence: Tensor
    warped: Tensor

    def on_known_skin(self, person_image: Tensor, masked: Tensor) -> "WarpOutput":
        """The same with the person's own skin wherever it is not masked out, as beside a mask finer than the box.

        Args:
            person_image: (B, 3, H, W) in [-1, 1].
            masked: (B, 1, H, W) in [0, 1].
        """
        change = (1 - masked) * (person_image - self.skin)
        composite = self.composite + (1 - self.coverage) * change
        return replace(self, skin=self.skin + change, composite=composite)


@dataclass(frozen=True)
class WarpGroundTruth:
    """What a warp should say.

    Attributes:
        person_image: (B, 3, H, W) in [-1, 1].
        wearing_mask: (B, 1, H, W) in [0, 1].
        correspondence: ``known`` is 0 for the samples that bring none along.
        sample_seed: (B,) int64; what training draws, it draws from these.
    """

    person_image: Tensor
    wearing_mask: Tensor
    correspondence: Correspondence
    sample_seed: Tensor

    @property
    def weight(self) -> Tensor:
        """How much the field of each pixel counts, (B, 1, H, W)."""
        return field_weight(self.correspondence)


@dataclass(frozen=True)
class WarpTraining:
    """What a warp says in training, where it may be handed parts of the answer.

    Attributes:
        outputs: Of each iteration, from the first to the last; none for a warp that does not train.
        first_uv: The field that the first iteration began with, (B, 2, H, W).
        logits: Of the K poses that it tells apart, (B, K).
        chances: Of the true poses, (B, K); rows sum to 1.
        pose: The one that the iterations began with, (B,) int64.
        inputs: What it was told, at the size of the outputs.
        ground_truth: What it should have said, at the size of the outputs.
    """

    outputs: tuple[WarpOutput, ...]
    first_uv: Tensor
    logits: Tensor
    chances: Tensor
    pose: Tensor
    inputs: WarpInputs
    ground_truth: WarpGroundTruth


class Warp(nn.Module, ABC):
    """Predict from one look where an ornament is worn, which point of its image each pixel shows, and its light.

    To add one: subclass, implement the two methods, name the class in the YAML.

    Its weights keep their 32 bits where a model is brought to fewer: 8 bits of a coordinate are a pixel of 256.

    Attributes:
        num_predictions: Wearing masks that it predicts: 1, or 0 for a warp that says nothing.
        kept_when_frozen: Checkpoints hold its weights, even where they do not train.
        wide_view: Whether it needs a wider view of the person.
    """

    num_predictions: int = 1
    kept_when_frozen: bool = True
    wide_view: bool = False

    @abstractmethod
    def forward(self, inputs: WarpInputs) -> WarpOutput:
        """Warp an ornament onto a person.

        Args:
            inputs: See :class:`WarpInputs`.

        Returns:
            See :class:`WarpOutput`; differentiable in the parameters.
        """

    @abstractmethod
    def training_pass(self, inputs: WarpInputs, ground_truth: WarpGroundTruth) -> WarpTraining | None:
        """Warp as in training.

        Args:
            inputs: See :class:`WarpInputs`.
            ground_truth: What it should say.

        Returns:
            What :class:`ornament_lit.losses.warp.WarpLoss` compares with the ground truth; None for a warp without
            parameters.
        """

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        def without_type(tensor: Tensor) -> Tensor:
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        moved: Self = super()._apply(without_type, recurse)  # type: ignore[no-untyped-call]
        return moved


def warp_inputs(batch: TryOnBatch) -> WarpInputs:
    """What a warp is told of a batch; it looks at what box and input mask hide of the bare person alone."""
    mask, box_mask = input_mask(batch), batch["box_mask"]
    neutral = batch["ornament_image"] * batch["ornament_mask"]
    detail = batch.get("ornament_detail")
    image, ornament_mask = (detail["image"], detail["mask"]) if detail else (neutral, batch["ornament_mask"])
    return WarpInputs(
        masked_person=visible_person(batch, torch.maximum(mask, box_mask)),
        box_mask=box_mask,
        input_mask=mask,
        ornament_image=neutral,
        ornament_mask=batch["ornament_mask"],
        texture=torch.cat([spread_colours(image, ornament_mask), ornament_mask], dim=1),
        wide_view=_visible_view(batch),
    )


def warp_ground_truth(batch: TryOnBatch) -> WarpGroundTruth:
    """What a warp should say of a batch."""
    return WarpGroundTruth(
        batch["person_image"],
        batch["wearing_mask"],
        batch.get("correspondence") or _unknown(batch["wearing_mask"]),
        batch["sample_seed"],
    )


def lay_by_ground_truth(
    output: WarpOutput, inputs: WarpInputs, ground_truth: WarpGroundTruth, share: float
) -> WarpOutput:
    """Lay the ornaments of a share of the samples over their persons by the true correspondence; light and skin stay.

    Args:
        output: What a warp says.
        inputs: What it was told.
        ground_truth: Samples of which no pixel's point is known keep what the warp says.
        share: In [0, 1]; which samples, is drawn from their seeds.
    """
    uv, known = ground_truth.correspondence["uv"].float(), ground_truth.correspondence["known"]
    warped = sample_texture(inputs.texture[:, :3].float(), uv, "border")
    worn = ground_truth.wearing_mask * (known > 0)
    composite = output.skin + (lit(warped, output.gain) - output.skin) * worn
    chosen = (ground_truth.sample_seed % SHARES < share * SHARES) & (known.amax((1, 2, 3)) > 0)
    laid = {"uv": uv, "visibility": worn, "coverage": worn, "composite": composite, "warped": warped}
    rows = chosen.view(-1, 1, 1, 1)
    return replace(output, **{name: torch.where(rows, value, getattr(output, name)) for name, value in laid.items()})


def _visible_view(batch: TryOnBatch) -> WideView | None:
    view = batch.get("wide_view")
    if view is None:
        return None
    image = shown_or(batch.get("bare_person"), "wide_image", view["image"] * (1 - view["box_mask"]))
    return WideView(image=image, box_mask=view["box_mask"], factor=view["factor"])


def _unknown(mask: Tensor) -> Correspondence:
    nothing = torch.zeros_like(mask)
    return Correspondence(uv=nothing.repeat(1, 2, 1, 1), known=nothing, seen=nothing)


def split_rows(output: WarpOutput) -> list[WarpOutput]:
    """What a warp says of each sample, one row each, on the CPU."""
    names = [part.name for part in fields(output)]
    return [
        WarpOutput(**{name: getattr(output, name)[row : row + 1].cpu() for name in names})
        for row in range(len(output.confidence))
    ]
