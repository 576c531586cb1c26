"""PoseAwareWarp: the paper's pose-aware mask, carried one step further, to where each pixel of it comes from.

Shape legend: B batch, H, W size of the person's crop, S side of the square that the networks look at, K anchors.
"""

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import WideView, generators_of
from ornament_lit.imaging.frames import anchor_chances
from ornament_lit.imaging.sliding import slid_correspondence
from ornament_lit.imaging.texture import lit, sample_texture
from ornament_lit.models.warps.alignment import Aligner, Alignment
from ornament_lit.models.warps.base import NO_WIDE_VIEW, Warp, WarpGroundTruth, WarpInputs, WarpOutput, WarpTraining
from ornament_lit.models.warps.fields import QuadraticField
from ornament_lit.models.warps.pose import PoseEstimator, Poses, check_size

SUPERSAMPLING = 2
DOUBT, STEEPNESS = 0.35, 3.0
"""Visibility that is drawn half, and how much steeper than the network's the step between hidden and seen is there."""


class PoseAwareWarp(Warp):
    """Find the pose, lay the ornament's own image over the person by it, and bend it until it fits.

    One forward pass, without noise: what comes out is as sharp as the ornament's image. Its wearing mask is the
    ornament's own mask, warped, times a visibility, so that edges, holes and numbers of beads are the ornament's.

    The networks look at images of ``size`` pixels; the field that they predict is smooth, and is enlarged to any
    resolution at which the ornament's image is then sampled.

    Args:
        size: S, a multiple of 8; images of other sizes are resized for the networks.
        wide_view: Look at the wider view, which tells where the arm points; the data need ``wide_view`` then.
        hypotheses: Poses that are tried when there is no ground truth, the likeliest ones; the one that the warp trusts
            most is taken. Each takes its time.
        iterations: How often the fit is looked at and corrected.
        own_coverage: Take the wearing mask from the ornament's own mask. False for the ablation that predicts it
            freely.
        turns: Poses are classified into 2 ``turns`` anchors, turned by multiples of 360 / ``turns`` degrees and
            mirrored or not.
        pose_channels: Channels of the pose estimator's tokens.
        pose_hidden: Channels of what it decides from.
        stem_channels: Channels of the aligner at half the size.
        channels: Channels of the aligner at a quarter of it.
        heads: Heads of all attention.
        own_poses: Share of the training samples whose fit begins with a pose that the warp believes in instead of a
            true one, so that its confidence gets to know wrong ones.
        slide: Teach closed pieces that look the same all the way round, such as bracelets of beads, with the
            front of the ornament's image in the middle of what is seen; false teaches the part that a triplet shows.
        bend: Let the fit begin with a quadratic map instead of an affine one: worn, a bracelet is straight, and in its
            image it is an arc.
        looks: How often the fit is looked at when there is no ground truth; null for ``iterations``. One more costs
            some 15 % more time in a preview on a CPU, and none in training.

    Raises:
        ValueError: If a number is out of its range.
    """

    def __init__(
        self,
        size: int = 64,
        wide_view: bool = True,
        hypotheses: int = 1,
        iterations: int = 2,
        own_coverage: bool = True,
        turns: int = 8,
        pose_channels: int = 160,
        pose_hidden: int = 256,
        stem_channels: int = 64,
        channels: int = 128,
        heads: int = 4,
        own_poses: float = 0.1,
        slide: bool = True,
        bend: bool = False,
        looks: int | None = None,
    ) -> None:
        super().__init__()
        counts = {"hypotheses": hypotheses, "iterations": iterations, "turns": turns, "looks": looks}
        for name, number in counts.items():
            if number is not None and number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if not 0 <= own_poses <= 1:
            raise ValueError(f"own_poses must be a share in [0, 1], got {own_poses}")
        self.size, self.wide_view = check_size(size), wide_view
        self.hypotheses = min(hypotheses, 2 * turns)
        self.iterations = iterations
        self.own_coverage = own_coverage
        self.turns, self.pose_channels, self.pose_hidden = turns, pose_channels, pose_hidden
        self.stem_channels, self.channels, self.heads = stem_channels, channels, heads
        self.pose = PoseEstimator(size, pose_channels, pose_hidden, turns, wide_view, bend)
        self.aligner = Aligner(stem_channels, channels, heads, pose_channels)
        self.own_poses, self.slide, self.bend, self.looks = own_poses, slide, bend, looks

    def forward(self, inputs: WarpInputs) -> WarpOutput:
        """Try the likeliest poses, and return the one that is trusted most."""
        seen = self._resized(inputs)
        poses = self.pose(seen)
        likeliest = poses.logits.topk(self.hypotheses, dim=1).indices
        looks = self.iterations if self.looks is None else self.looks
        fits = [self._align(seen, poses, anchor, looks)[-1] for anchor in likeliest.unbind(1)]
        return most_confident([self._render(inputs, fit.field, opaque(fit.alignment)) for fit in fits])

    def training_pass(self, inputs: WarpInputs, ground_truth: WarpGroundTruth) -> WarpTraining:
        """Begin the fit at a pose that is drawn among the true ones, or, for some, among those that are believed in."""
        seen, ground_truth = self._resized(inputs), self._resized_ground_truth(ground_truth)
        if self.slide:
            ground_truth = replace(
                ground_truth, correspondence=slid_correspondence(ground_truth.correspondence, seen.texture)
            )
        poses = self.pose(seen)
        chances = anchor_chances(ground_truth.correspondence["uv"], ground_truth.weight, self.pose.anchors)
        anchor = draw_anchors(ground_truth, chances, poses.logits, self.own_poses)
        outputs = tuple(
            self._render(seen, *fit, supersampling=1) for fit in self._align(seen, poses, anchor, self.iterations)
        )
        still = torch.zeros_like(seen.masked_person[:, :2], dtype=torch.float32)
        first_uv = poses.choose(anchor).at(still)
        return WarpTraining(outputs, first_uv, poses.logits, chances, anchor, seen, ground_truth)

    def _align(self, seen: WarpInputs, poses: Poses, anchor: Tensor, looks: int) -> list["_Fit"]:
        field = poses.choose(anchor).detach()
        displacement = torch.zeros_like(seen.masked_person[:, :2], dtype=torch.float32)
        fits = []
        for _ in range(looks):
            alignment = self.aligner(seen, poses.tokens, field, displacement.detach())
            displacement = alignment.displacement
            fits.append(_Fit(field, alignment))
        return fits

    def _render(
        self, inputs: WarpInputs, field: QuadraticField, alignment: Alignment, supersampling: int = SUPERSAMPLING
    ) -> WarpOutput:
        """Sample the ornament's image, at the size of the inputs."""
        height, width = inputs.box_mask.shape[-2:]
        finer = (supersampling * height, supersampling * width)
        displacement = resize_smooth(alignment.displacement, finer)
        points = field.at(displacement)
        colours = sample_texture(inputs.texture[:, :3].float(), points, "border")
        masks = sample_texture(inputs.texture[:, 3:].float(), points)
        sampled = F.avg_pool2d(torch.cat([colours, masks], dim=1), supersampling)
        rest = [getattr(alignment, name) for name in ("visibility", "gain", "skin")]
        visibility, gain, skin = (resize_smooth(part, (height, width)) for part in rest)
        own = sampled[:, 3:] if self.own_coverage else 1.0
        coverage = visibility * own * inputs.box_mask
        skin = inputs.masked_person.float() + skin * inputs.box_mask
        return WarpOutput(
            uv=field.at(resize_smooth(alignment.displacement, (height, width))),
            visibility=visibility,
            coverage=coverage,
            gain=gain,
            skin=skin,
            composite=skin + (lit(sampled[:, :3], gain) - skin) * coverage,
            confidence=-alignment.log_error,
            warped=sampled[:, :3],
        )

    def _resized(self, inputs: WarpInputs) -> WarpInputs:
        """The inputs at the size that the networks look at."""
        size = (self.size, self.size)
        shrunk = {
            name: resize(getattr(inputs, name).float(), size)
            for name in ("masked_person", "box_mask", "input_mask", "ornament_image", "ornament_mask", "texture")
        }
        return WarpInputs(**shrunk, wide_view=self._wide(inputs.wide_view))

    def _wide(self, view: WideView | None) -> WideView | None:
        if not self.pose.wide_view:
            return None
        if view is None:
            raise ValueError(NO_WIDE_VIEW)
        size = (self.size, self.size)
        return WideView(
            image=resize(view["image"].float(), size),
            box_mask=resize(view["box_mask"].float(), size),
            factor=view["factor"].float(),
        )

    def _resized_ground_truth(self, ground_truth: WarpGroundTruth) -> WarpGroundTruth:
        size = (self.size, self.size)
        known = ground_truth.correspondence["known"]
        points = resize(ground_truth.correspondence["uv"] * known, size)
        shrunk = {name: resize(ground_truth.correspondence[name], size) for name in ("known", "seen")}
        uv = points / shrunk["known"].clamp(min=1e-4)
        mask, image = resize(ground_truth.wearing_mask, size), resize(ground_truth.person_image, size)
        return WarpGroundTruth(image, mask, {"uv": uv, **shrunk}, ground_truth.sample_seed)  # type: ignore[typeddict-item]


class _Fit(NamedTuple):
    field: QuadraticField
    alignment: Alignment


def opaque(alignment: Alignment) -> Alignment:
    """Draw what is in doubt or leave it out, as an ornament is opaque; for training, doubt is a probability."""
    logits = torch.logit(alignment.visibility, eps=1e-4) - math.log(DOUBT / (1 - DOUBT))
    return alignment._replace(visibility=(STEEPNESS * logits).sigmoid())


def most_confident(outputs: Sequence[WarpOutput]) -> WarpOutput:
    """Of several outputs for a batch, for each sample the one with the greatest confidence."""
    best = torch.stack([output.confidence for output in outputs]).argmax(0)
    rows = torch.arange(len(best), device=best.device)
    stacked = {
        part.name: torch.stack([getattr(output, part.name) for output in outputs]) for part in fields(WarpOutput)
    }
    return WarpOutput(**{name: entries[best, rows] for name, entries in stacked.items()})


def draw_anchors(ground_truth: WarpGroundTruth, chances: Tensor, logits: Tensor, own: float) -> Tensor:
    """Draw the pose that each sample's fit begins with.

    Args:
        ground_truth: Knows the samples' seeds, and which of them bring a correspondence along.
        chances: Of the true poses, (B, K).
        logits: Of the poses that the warp believes in, (B, K).
        own: Share of the samples that begin with a pose that the warp believes in; all that bring no correspondence do.

    Returns:
        (B,) int64.
    """
    draws = torch.stack([torch.rand(2, generator=generator) for generator in generators_of(ground_truth.sample_seed)])
    draws = draws.to(logits.device)
    known = ground_truth.correspondence["known"].amax((1, 2, 3)) > 0
    believed = (draws[:, 0] < own) | ~known
    chances = torch.where(believed[:, None], logits.detach().float().softmax(1), chances.float())
    return (chances.cumsum(1) < draws[:, 1:] * chances.sum(1, keepdim=True)).sum(1).clamp(max=chances.shape[1] - 1)


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring images to a size: area averages where they shrink, bilinear where they grow."""
    if image.shape[-2:] == size:
        return image
    if image.shape[-1] >= size[1]:
        return F.interpolate(image, size=size, mode="area")
    return F.interpolate(image, size=size, mode="bilinear", align_corners=False)


def resize_smooth(field: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring a smooth field to a size, bicubic where it grows."""
    if field.shape[-2:] == size:
        return field
    return F.interpolate(
        field, size=size, mode="bilinear" if field.shape[-1] >= size[1] else "bicubic", align_corners=False
    )
