"""WarpLoss: what a warp is taught.

Shape legend: B batch, H, W size of the crop.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.imaging.texture import lit, sample_texture
from ornament_lit.losses.first_batch import FirstBatch
from ornament_lit.losses.placing import in_doubt, moved, shift_of
from ornament_lit.models.warps.base import WarpInputs, WarpOutput, WarpTraining
from ornament_lit.models.warps.extension import extend_field, gaussian_window

AROUND = 0.25
"""Weight of the field around the ornament, as far as a Gaussian window of :data:`NEAR` reaches."""
NEAR = 3 / 64
BETA = 0.05
HALO = 9
LIGHT = 8
RIGHT = 0.05
"""Chance of a pose from which on it counts as a true one."""
LAST, OTHERS = 1.0, 0.5


class WarpLoss:
    """Errors of a warp, each weighed and added up.

    Light is compared at a low resolution only: else it washes colours out where the field is a little off. The
    gradient of detail goes to the field alone.

    Args:
        pose: Weight of the cross-entropy of the pose.
        field: Weight of the error of (u, v), inside the mask and around it.
        slope: Weight of the error of its slopes, which keeps pieces from being stretched and twisted.
        mask: Weight of the mask: cross-entropy, and Dice of the masks and of the blurred masks.
        area: Weight of the error of the mask's area, the logarithm of its ratio: the errors of the mask themselves
            reward pieces that are too large where their place is in doubt.
        detail: Weight of the ornament's colours, pixel by pixel.
        light: Weight of its colours at a low resolution.
        skin: Weight of the skin around it, in the box.
        confidence: Weight of the error of the expected error.
        place: Weight of how far beside its place the ornament lies. Field, mask and colours are then compared with the
            ground truth moved to where it lies: where in a coarse box it is, nobody can know, and a field that is to be
            right at all these places at once stretches the ornament over the box. Samples whose input mask is finer
            than the box are compared in place, since it tells theirs. 0 to compare all in place.
        visibility: Weight of the mask as the visibility is taught it, beside the field. ``mask`` then teaches the field
            alone, under what the body truly hides: where one error teaches both, the visibility cuts an ornament that
            is too large to size, and the field stays as it is. 0 to let the mask teach both.
        extend: Carry the true field on, and teach it around the mask, too; false teaches it inside only.

    Raises:
        ValueError: If a weight is negative.
    """

    def __init__(
        self,
        pose: float = 1.0,
        field: float = 4.0,
        slope: float = 1.0,
        mask: float = 0.5,
        area: float = 0.0,
        detail: float = 0.5,
        light: float = 1.0,
        skin: float = 1.0,
        confidence: float = 0.05,
        place: float = 0.0,
        visibility: float = 0.0,
        extend: bool = True,
    ) -> None:
        self.weights = {
            "pose": pose,
            "field": field,
            "slope": slope,
            "mask": mask,
            "area": area,
            "detail": detail,
            "light": light,
            "skin": skin,
            "confidence": confidence,
            "place": place,
            "visibility": visibility,
        }
        for name, weight in self.weights.items():
            if not weight >= 0:
                raise ValueError(f"{name} must not be negative, got {weight}")
        self.extend = extend
        self.first_batch = FirstBatch(f"{type(self).__name__} learns poses and fields")

    def __call__(self, training: WarpTraining | None) -> tuple[Tensor, dict[str, Tensor]]:
        """Compare what a warp says with the ground truth.

        Samples without a correspondence teach mask, colours and skin only; samples that began with a wrong pose teach
        confidence only.

        Args:
            training: Inputs, ground truth, and what the warp said; all iterations but the last count half. None for a
                warp that does not train.

        Returns:
            The loss, a scalar, and its weighted terms without gradients: those of the last iteration, and ``pose``,
            ``pose_field`` and ``pose_slope``, of the pose alone.
        """
        if training is None:
            return torch.zeros(()), {}
        self.first_batch.look(training.ground_truth.correspondence["known"], training.logits.requires_grad)
        with torch.autocast(training.logits.device.type, enabled=False):
            return self._compare(training)

    def _compare(self, training: WarpTraining) -> tuple[Tensor, dict[str, Tensor]]:
        ground_truth = training.ground_truth
        known = (ground_truth.weight.amax((1, 2, 3)) > 0).float()
        right = training.chances.gather(1, training.pose[:, None])[:, 0] > RIGHT
        fair = torch.where(known > 0, right.float(), 1.0)
        truth = training.ground_truth
        answer = _Answer(*self._target(training), truth.wearing_mask.float(), truth.person_image.float())
        terms = [self._terms(output, training, answer, known, fair) for output in training.outputs]
        begun, _ = self._beside(training.first_uv, training.inputs, answer, known * fair)
        pose = -(training.chances * training.logits.float().log_softmax(1)).sum(1)
        first = {
            "pose": self.weights["pose"] * mean(pose, known),
            "pose_field": self.weights["field"]
            * mean(field_error(training.first_uv, begun.uv, begun.pixels), known * fair),
            "pose_slope": self.weights["slope"]
            * mean(slope_error(training.first_uv, begun.uv, begun.pixels), known * fair),
        }
        shares = [OTHERS] * (len(terms) - 1) + [LAST]
        total = _sum(first) + sum(share * _sum(some) for share, some in zip(shares, terms, strict=True))
        return total, {name: value.detach() for name, value in (first | terms[-1]).items()}

    @torch.no_grad()
    def _target(self, training: WarpTraining) -> tuple[Tensor, Tensor]:
        """The field to be taught and how much each of its pixels counts."""
        uv, weight = training.ground_truth.correspondence["uv"].float(), training.ground_truth.weight.float()
        if not self.extend:
            return uv, weight
        near = gaussian_window(weight, NEAR * weight.shape[-1]) > AROUND / 10
        coarse = F.avg_pool2d(weight, 2)
        halved = F.avg_pool2d(uv * weight, 2) / coarse.clamp(min=1e-4)
        extended = F.interpolate(extend_field(halved, coarse), scale_factor=2.0, mode="bilinear", align_corners=False)
        return extended, weight + AROUND * near

    def _beside(self, uv: Tensor, inputs: WarpInputs, answer: "_Answer", counted: Tensor) -> tuple["_Answer", Tensor]:
        """The answer, moved to where a field lies in the samples that count, (B,), and by how much, (B, 2)."""
        if not self.weights["place"]:
            return answer, uv.new_zeros(len(uv), 2)
        around = -F.max_pool2d(-answer.pixels, 3, 1, 1)  # beside what is known, a field that is not carried on jumps
        free = counted * in_doubt(inputs.input_mask, inputs.box_mask)
        shift = shift_of(uv.float(), answer.uv, around * answer.worn) * free[:, None]
        return _Answer(*(moved(part, shift.detach()) for part in answer)), shift

    def _terms(
        self, output: WarpOutput, training: WarpTraining, answer: "_Answer", known: Tensor, fair: Tensor
    ) -> dict[str, Tensor]:
        box, beside = training.inputs.box_mask, (1 - answer.worn) * training.inputs.box_mask
        near, shift = self._beside(output.uv, training.inputs, answer, known * fair)
        worn = near.worn * box
        field_mask, visible_mask = self._masks(output, training.inputs, near, known)
        error = field_error(output.uv, answer.uv, answer.pixels)
        colours = lit(output.warped, output.gain.detach())
        errors = {
            "place": F.smooth_l1_loss(shift, torch.zeros_like(shift), beta=BETA, reduction="none").sum(1).mean(),
            "field": mean(field_error(output.uv, near.uv, near.pixels), known * fair),
            "slope": mean(slope_error(output.uv, near.uv, near.pixels), known * fair),
            "mask": mean(mask_error(field_mask, worn, box), fair),
            "visibility": mean(mask_error(visible_mask, worn, box), fair),
            "area": mean(area_error(output.coverage, worn), fair),
            "detail": mean(masked_error(colours, near.image, worn), fair),
            "light": mean(light_error(output, near.image, worn), fair),
            "skin": mean(masked_error(output.skin, answer.image, beside), fair),
            "confidence": mean((output.confidence + (error.detach() + 1e-3).log()).abs(), known),
        }
        return {name: self.weights[name] * value for name, value in errors.items()}

    def _masks(self, output: WarpOutput, inputs: WarpInputs, near: "_Answer", known: Tensor) -> tuple[Tensor, Tensor]:
        """Masks (B, 1, H, W) by which the field is taught, and the visibility."""
        if not self.weights["visibility"]:
            return output.coverage, output.coverage
        own = sample_texture(inputs.texture[:, 3:].float(), output.uv) * inputs.box_mask
        seen = own * truly_visible(near, inputs)
        return torch.where(known[:, None, None, None] > 0, seen, output.coverage), output.visibility * own.detach()


class _Answer(NamedTuple):
    """What is compared with: the field, how much each of its pixels counts, the wearing mask, and the person."""

    uv: Tensor
    pixels: Tensor
    worn: Tensor
    image: Tensor


def field_error(uv: Tensor, target: Tensor, pixels: Tensor) -> Tensor:
    """Weighted smooth L1 of fields (B, 2, H, W), (B,)."""
    errors = F.smooth_l1_loss(uv.float(), target, reduction="none", beta=BETA).sum(1, keepdim=True)
    return (pixels * errors).sum((1, 2, 3)) / pixels.sum((1, 2, 3)).clamp(min=1.0)


def slope_error(uv: Tensor, target: Tensor, pixels: Tensor) -> Tensor:
    """Weighted mean of the differences between the slopes of fields (B, 2, H, W), in ornaments a crop, (B,).

    A slope counts as much as the least of the three pixels that it is taken from: beside what is known, a field that is
    not carried on jumps to 0.
    """
    difference = (uv.float() - target) * (uv.shape[-1] / 2)
    across, down = difference.diff(dim=3)[..., :-1, :], difference.diff(dim=2)[..., :-1]
    errors = (across.square() + down.square()).sum(1, keepdim=True).add(1e-6).sqrt()
    right, below = pixels[..., :-1, 1:], pixels[..., 1:, :-1]
    counted = torch.minimum(torch.minimum(right, below), pixels[..., :-1, :-1])
    return (counted * errors).sum((1, 2, 3)) / counted.sum((1, 2, 3)).clamp(min=1.0)


def mask_error(coverage: Tensor, worn: Tensor, box: Tensor) -> Tensor:
    """Cross-entropy in the box, Dice, and Dice of the blurred masks; (B, 1, H, W) each, (B,)."""
    entropy = box * F.binary_cross_entropy(coverage.float().clamp(0.002, 0.998), worn.clamp(0, 1), reduction="none")
    blurred = [F.avg_pool2d(mask, HALO, 1, HALO // 2) * box for mask in (coverage, worn)]
    entropy = entropy.sum((1, 2, 3)) / box.sum((1, 2, 3)).clamp(min=1.0)
    return entropy + dice_error(coverage, worn, 1) + dice_error(blurred[0], blurred[1], 2)


def truly_visible(answer: _Answer, inputs: WarpInputs) -> Tensor:
    """What the body does not hide, (B, 1, H, W): all but what the true field covers and the wearing mask does not."""
    own = sample_texture(inputs.texture[:, 3:].float(), answer.uv)
    return (1 - own * (1 - answer.worn)).clamp(0, 1)


def area_error(coverage: Tensor, worn: Tensor) -> Tensor:
    """How far the areas of masks (B, 1, H, W) are apart, the absolute logarithm of their ratio, (B,)."""
    areas = [mask.float().sum((1, 2, 3)) + 1 for mask in (coverage, worn)]
    return (areas[0] / areas[1]).log().abs()


def dice_error(one: Tensor, other: Tensor, power: int) -> Tensor:
    """1 - Dice of masks (B, 1, H, W), (B,); ``power`` 2 has squares in the denominator (Milletari et al., 2016)."""
    sums = (one**power + other**power).sum((1, 2, 3))
    return 1 - (2 * (one * other).sum((1, 2, 3)) + 1) / (sums + 1)


def masked_error(one: Tensor, other: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute difference inside a mask, (B,)."""
    errors = (mask * (one - other).abs()).sum((1, 2, 3))
    return errors / (one.shape[1] * mask.sum((1, 2, 3))).clamp(min=1.0)


def light_error(output: WarpOutput, image: Tensor, worn: Tensor) -> Tensor:
    """Difference of the ornament's mean colours in squares of :data:`LIGHT` pixels, (B,).

    Laid over the skin by the true mask: a pixel that a thin piece covers in part shows skin, too, and light that made
    good for that would give pearls the colour of the neck.
    """
    skin = output.skin.detach()
    laid = skin + (lit(output.warped.detach(), output.gain) - skin) * worn
    covered = F.avg_pool2d(worn, LIGHT)
    errors = (F.avg_pool2d((laid - image) * worn, LIGHT)).abs().sum((1, 2, 3))
    return errors / (3 * covered.sum((1, 2, 3))).clamp(min=1e-2)


def mean(values: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of (B,) values over the batch; 0 where all weights are 0."""
    return (values * weights).sum() / len(weights)


def _sum(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()
