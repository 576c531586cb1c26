"""PoseEstimator: how an ornament lies in the box, roughly.

Shape legend: B batch, S side of the square that the networks look at, N tokens, C channels, K anchors.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.imaging.frames import anchor_maps, apply_affine, mask_frame, pixel_grid, relative_grid
from ornament_lit.imaging.texture import sample_texture
from ornament_lit.models.warps.base import WarpInputs
from ornament_lit.models.warps.fields import QuadraticField
from ornament_lit.models.warps.layers import GROUPS, STRIDE, ResidualBlock, token_encoder, zero_init

LAYOUT = 4
"""Places a side that a pose is decided from."""


class Poses(NamedTuple):
    """What is thought of the pose.

    Attributes:
        tokens: Of person, wider view and ornament, (B, N, C).
        logits: Of each anchor, (B, K).
        linear: A of uv = A (x - c) + t by anchor, with c the centre of the box, (B, K, 2, 2).
        shift: t, (B, K, 2).
        centre: c, (B, 2).
        upright: From the person to an upright ornament of the same size, by anchor, (B, K, 2, 2).
        bend: What is added to uv, by anchor: factors of x x, x y and y y in the upright ornament, (B, K, 2, 3); 0 where
            the estimator does not bend.
    """

    tokens: Tensor
    logits: Tensor
    linear: Tensor
    shift: Tensor
    centre: Tensor
    upright: Tensor
    bend: Tensor

    def choose(self, anchor: Tensor) -> QuadraticField:
        """The field of one anchor a sample, given as (B,) int64."""
        rows = torch.arange(len(anchor), device=anchor.device)
        parts = (part[rows, anchor] for part in (self.linear, self.shift, self.upright, self.bend))
        linear, shift, upright, bend = parts
        return QuadraticField(linear, shift, self.centre, upright, bend)


class PoseEstimator(nn.Module):
    """Classify the pose among anchors, and find the affine map from the box to the ornament's image for each.

    A hand may point anywhere and a wrist shows its inside or its back, so that the map is one of several that have
    nothing in common, and whose mean is none: hence classes, each with a correction of its own. The person is turned
    by every anchor, and one network says of each view whether the ornament would be upright in it. So what is learned
    of a hand that points one way holds for all ways (a network equivariant to turns, Cohen and Welling, 2016). Which
    way ornaments like this one usually hang is learned beside it, from the ornament alone.

    Args:
        size: S, a multiple of 8; images of other sizes are resized.
        channels: Of a token, a multiple of 8.
        hidden: Channels of what is decided from.
        turns: Anchors are turned by multiples of 360 / ``turns`` degrees, and each has a mirrored twin.
        wide_view: Look at the wider view.
        bend: Let the map be quadratic: worn, a bracelet is straight, and in its image it is an arc.
    """

    anchors: Tensor

    def __init__(self, size: int, channels: int, hidden: int, turns: int, wide_view: bool, bend: bool = False) -> None:
        super().__init__()
        self.size, self.wide_view, self.turns = size, wide_view, turns
        width = channels // 5 // 8 * 8
        self.person = token_encoder(7, width, channels)
        self.ornament = token_encoder(4, width, channels)
        self.wide = token_encoder(4, width, channels) if wide_view else None
        self.kinds = nn.Parameter(torch.randn(3 if wide_view else 2, channels) * 0.1)
        self.turned = turned_encoder(5, width, hidden)
        self.laid = nn.Sequential(layout_encoder(channels), nn.Linear(LAYOUT**2 * channels, hidden))
        self.decide = nn.Sequential(nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.logits = zero_init(nn.Linear(hidden, 2), 0.01)
        self.usual = zero_init(nn.Linear(hidden, 2 * turns), 0.01)
        self.affine = zero_init(nn.Linear(hidden, 12), 0.01)
        self.bend = zero_init(nn.Linear(hidden, 12), 0.003) if bend else None
        self.register_buffer("anchors", anchor_maps(turns), persistent=False)

    def forward(self, inputs: WarpInputs) -> Poses:
        """Look at person, ornament and wider view, all of (B, ..., S, S)."""
        centre, half = mask_frame(inputs.box_mask)
        place = relative_grid(inputs.box_mask, centre, half)
        person = torch.cat([inputs.masked_person, inputs.box_mask, inputs.input_mask, place], dim=1)
        seen = [self.person(person), self.ornament(torch.cat([inputs.ornament_image, inputs.ornament_mask], dim=1))]
        if self.wide is not None:
            assert inputs.wide_view is not None
            seen.append(self.wide(torch.cat([inputs.wide_view["image"], inputs.wide_view["box_mask"]], dim=1)))
        tokens = [view.flatten(2).transpose(1, 2) + kind for view, kind in zip(seen, self.kinds, strict=True)]
        views = self.turned(self._turn(inputs, centre)).unflatten(0, (-1, self.turns))
        laid = self.laid(seen[1])
        decided = self.decide(views + laid[:, None])
        with torch.autocast(decided.device.type, enabled=False):
            decided = decided.float()
            logits = _by_anchor(self.logits(decided), 1)[..., 0] + self.usual(laid.float())
            _, ornament_half = mask_frame(inputs.ornament_mask)
            linear, shift, upright = self._maps(_by_anchor(self.affine(decided), 6), half, ornament_half)
            bend = linear.new_zeros(*logits.shape, 6) if self.bend is None else _by_anchor(self.bend(decided), 6)
            bend = bend.unflatten(-1, (2, 3))
            return Poses(torch.cat(tokens, dim=1), logits, linear, shift, centre, upright, bend)

    def _turn(self, inputs: WarpInputs, centre: Tensor) -> Tensor:
        """The person, turned about the box so that an ornament of each anchor is upright, (B turns, 5, S/2, S/2)."""
        view = inputs.wide_view if self.wide_view else None
        if view is None:
            canvas = torch.cat([inputs.masked_person, inputs.box_mask, inputs.input_mask], dim=1)
            factor = centre.new_ones(len(centre))
        else:
            factor = view["factor"].to(centre)
            grid = pixel_grid(view["image"].shape[-2:], centre) * factor.view(-1, 1, 1, 1)
            input_mask = sample_texture(inputs.input_mask.float(), grid)
            canvas = torch.cat([view["image"], view["box_mask"], input_mask], dim=1)
        side = self.size // 2
        upright = pixel_grid((side, side), centre)
        turns = self.anchors[: self.turns].transpose(1, 2).to(centre)
        points = apply_affine(turns, torch.zeros_like(turns[:, 0]), upright.expand(self.turns, -1, -1, -1))
        points = points[None] + (centre / factor[:, None])[:, None, :, None, None]
        smooth = F.avg_pool2d(canvas.float(), 2)
        return sample_texture(smooth.repeat_interleave(self.turns, dim=0), points.flatten(0, 1))

    def _maps(self, numbers: Tensor, half: Tensor, ornament_half: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Corrections of the anchors, (B, K, 6), to maps of the size that brings the box onto the ornament."""
        scale = (ornament_half.prod(1) / half.prod(1)).sqrt().view(-1, 1, 1, 1)
        change = torch.eye(2, device=numbers.device) + numbers[..., :4].unflatten(-1, (2, 2))
        upright = scale * self.anchors.to(numbers)
        return scale * (change @ self.anchors.to(numbers)), numbers[..., 4:], upright


def turned_encoder(channels: int, width: int, out: int) -> nn.Sequential:
    """From turned views, (B, channels, S/2, S/2), to what is where in them, (B, out)."""
    return nn.Sequential(
        nn.PixelUnshuffle(2),
        nn.Conv2d(4 * channels, 2 * width, 3, padding=1),
        ResidualBlock(2 * width),
        nn.Conv2d(2 * width, 4 * width, 4, 2, 1),
        ResidualBlock(4 * width),
        nn.Conv2d(4 * width, 4 * width, 4, 2, 1),
        ResidualBlock(4 * width),
        nn.GroupNorm(GROUPS, 4 * width),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(LAYOUT),
        nn.Flatten(),
        nn.Linear(LAYOUT**2 * 4 * width, out),
    )


def layout_encoder(channels: int) -> nn.Sequential:
    """From a map of tokens, (B, C, S / 8, S / 8), to what is where in it, (B, 16 C)."""
    return nn.Sequential(
        ResidualBlock(channels),
        nn.Conv2d(channels, channels, 4, 2, 1),
        ResidualBlock(channels),
        nn.GroupNorm(GROUPS, channels),
        nn.SiLU(),
        nn.AdaptiveAvgPool2d(LAYOUT),
        nn.Flatten(),
    )


def _by_anchor(numbers: Tensor, count: int) -> Tensor:
    """Numbers of each turned view in the order of the anchors.

    A person who is turned one way turns an ornament that is seen mirrored the other way: the view in which it is
    upright is that of the opposite turn.

    Args:
        numbers: For an upright and for a mirrored ornament, (B, turns, 2 count).
        count: Of numbers an anchor.

    Returns:
        (B, 2 turns, count).
    """
    upright, mirrored = numbers.split(count, dim=-1)
    opposite = -torch.arange(numbers.shape[1], device=numbers.device) % numbers.shape[1]
    return torch.cat([upright, mirrored[:, opposite]], dim=1)


def check_size(size: int) -> int:
    """Check the side that images are resized to.

    Raises:
        ValueError: If it is no multiple of 8, or less than 32.
    """
    if size < 4 * STRIDE or size % STRIDE:
        raise ValueError(f"size must be a multiple of {STRIDE} and at least {4 * STRIDE}, got {size}")
    return size
