"""PoseEstimator: how an ornament lies in the box, roughly.

Shape legend: B batch, S side of the square that the networks look at, N tokens, C channels, K anchors.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ornament_lit.models.warps.base import WarpInputs
from ornament_lit.models.warps.frames import anchor_maps, mask_frame, pixel_grid
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
    """

    tokens: Tensor
    logits: Tensor
    linear: Tensor
    shift: Tensor
    centre: Tensor

    def choose(self, anchor: Tensor) -> tuple[Tensor, Tensor]:
        """A and t of one anchor a sample, given as (B,) int64."""
        rows = torch.arange(len(anchor), device=anchor.device)
        return self.linear[rows, anchor], self.shift[rows, anchor]


class PoseEstimator(nn.Module):
    """Classify the pose among anchors, and find the affine map from the box to the ornament's picture for each.

    A hand may point anywhere and a wrist shows its inside or its back, so that the map is one of several that have
    nothing in common, and whose mean is none: hence classes, each with a correction of its own.

    Args:
        size: S, a multiple of 8; pictures of other sizes are resized.
        channels: Of a token, a multiple of 8.
        hidden: Channels of what is decided from.
        turns: Anchors are turned by multiples of 360 / ``turns`` degrees, and each has a mirrored twin.
        wide_view: Look at the wider view.
    """

    anchors: Tensor

    def __init__(self, size: int, channels: int, hidden: int, turns: int, wide_view: bool) -> None:
        super().__init__()
        self.size, self.wide_view = size, wide_view
        width = channels // 5 // 8 * 8
        self.person = token_encoder(7, width, channels)
        self.ornament = token_encoder(4, width, channels)
        self.wide = token_encoder(4, width, channels) if wide_view else None
        views = 3 if wide_view else 2
        self.layouts = nn.ModuleList(layout_encoder(channels) for _ in range(views))
        self.kinds = nn.Parameter(torch.randn(views, channels) * 0.1)
        self.decide = nn.Sequential(
            nn.Linear(views * LAYOUT**2 * channels, hidden),
            nn.LayerNorm(hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
        )
        self.logits = zero_init(nn.Linear(hidden, 2 * turns), 0.01)
        self.affine = zero_init(nn.Linear(hidden, 12 * turns), 0.01)
        self.register_buffer("anchors", anchor_maps(turns), persistent=False)

    def forward(self, inputs: WarpInputs) -> Poses:
        """Look at person, ornament and wider view, all of (B, ..., S, S)."""
        centre, half = mask_frame(inputs.box_mask)
        place = relative_grid(inputs.box_mask, centre, half)
        seen = [
            self.person(torch.cat([inputs.masked_person, inputs.box_mask, inputs.input_mask, place], dim=1)),
            self.ornament(torch.cat([inputs.ornament_image, inputs.ornament_mask], dim=1)),
        ]
        if self.wide is not None:
            assert inputs.wide_view is not None
            seen.append(self.wide(torch.cat([inputs.wide_view["image"], inputs.wide_view["box_mask"]], dim=1)))
        tokens = [view.flatten(2).transpose(1, 2) + kind for view, kind in zip(seen, self.kinds, strict=True)]
        decided = self.decide(
            torch.cat([lay_out(view) for lay_out, view in zip(self.layouts, seen, strict=True)], dim=1)
        )
        with torch.autocast(decided.device.type, enabled=False):
            decided = decided.float()
            _, ornament_half = mask_frame(inputs.ornament_mask)
            linear, shift = self._maps(self.affine(decided), half, ornament_half)
            return Poses(torch.cat(tokens, dim=1), self.logits(decided), linear, shift, centre)

    def _maps(self, raw: Tensor, half: Tensor, ornament_half: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections of the anchors, (B, 6 K), to maps of the size that brings the box onto the ornament."""
        numbers = raw.unflatten(-1, (-1, 6))
        scale = (ornament_half.prod(1) / half.prod(1)).sqrt().view(-1, 1, 1, 1)
        change = torch.eye(2, device=raw.device) + numbers[..., :4].unflatten(-1, (2, 2))
        return scale * (change @ self.anchors.to(raw)), numbers[..., 4:]


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


def relative_grid(mask: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """Coordinates of pixels from a centre, in units of the longer half size; (B, 2, H, W)."""
    grid = pixel_grid(mask.shape[-2:], mask)
    return (grid - centre[:, :, None, None]) / half.amax(1).view(-1, 1, 1, 1)


def check_size(size: int) -> int:
    """Check the side that pictures are resized to.

    Raises:
        ValueError: If it is no multiple of 8, or less than 32.
    """
    if size < 4 * STRIDE or size % STRIDE:
        raise ValueError(f"size must be a multiple of {STRIDE} and at least {4 * STRIDE}, got {size}")
    return size
