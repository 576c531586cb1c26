"""PoseEstimator: how an ornament lies in the box, roughly.

Shape legend: B batch, S side of the square that the networks look at, N tokens, C channels, K anchors.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.models.warps.base import WarpInputs
from ornament_lit.models.warps.frames import anchor_maps, mask_frame, pixel_grid
from ornament_lit.models.warps.layers import STRIDE, PositionEncoding, TransformerBlock, token_encoder, zero_init


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
        channels: Of a token.
        layers: Of the transformer.
        heads: Of its attention.
        turns: Anchors are turned by multiples of 360 / ``turns`` degrees, and each has a mirrored twin.
        wide_view: Look at the wider view.
    """

    anchors: Tensor

    def __init__(self, size: int, channels: int, layers: int, heads: int, turns: int, wide_view: bool) -> None:
        super().__init__()
        self.size, self.wide_view = size, wide_view
        width = channels // 5 // 8 * 8
        self.person = token_encoder(7, width, channels)
        self.ornament = token_encoder(4, width, channels)
        self.wide = token_encoder(4, width, channels) if wide_view else None
        views = 3 if wide_view else 2
        self.positions = nn.ModuleList(PositionEncoding(channels) for _ in range(views))
        self.kinds = nn.Parameter(torch.randn(views, channels) * 0.1)
        self.summary = nn.Parameter(torch.randn(channels) * 0.1)
        self.blocks = nn.ModuleList(TransformerBlock(channels, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)
        self.logits = zero_init(nn.Linear(channels, 2 * turns), 0.01)
        self.affine = zero_init(nn.Linear(channels, 12 * turns), 0.01)
        self.register_buffer("anchors", anchor_maps(turns), persistent=False)

    def forward(self, inputs: WarpInputs) -> Poses:
        """Look at person, ornament and wider view, all of (B, ..., S, S)."""
        centre, half = mask_frame(inputs.box_mask)
        place = relative_grid(inputs.box_mask, centre, half)
        person = torch.cat([inputs.masked_person, inputs.box_mask, inputs.input_mask, place], dim=1)
        ornament = torch.cat([inputs.ornament_image, inputs.ornament_mask], dim=1)
        ornament_centre, ornament_half = mask_frame(inputs.ornament_mask)
        ornament_place = relative_grid(inputs.ornament_mask, ornament_centre, ornament_half)
        views = [(self.person(person), place), (self.ornament(ornament), ornament_place)]
        if self.wide is not None:
            views.append(self._look_wide(inputs, centre, half))
        encoded = [
            _tokens(seen) + encode(F.adaptive_avg_pool2d(where, seen.shape[-2:])) + kind
            for (seen, where), encode, kind in zip(views, self.positions, self.kinds, strict=True)
        ]
        tokens = torch.cat([self.summary.expand(len(centre), 1, -1), *encoded], dim=1)
        for block in self.blocks:
            tokens = block(tokens)
        tokens = self.norm(tokens)
        with torch.autocast(tokens.device.type, enabled=False):
            summary = tokens[:, 0].float()
            linear, shift = self._maps(self.affine(summary), half, ornament_half)
            return Poses(tokens[:, 1:], self.logits(summary), linear, shift, centre)

    def _look_wide(self, inputs: WarpInputs, centre: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        view = inputs.wide_view
        assert view is not None and self.wide is not None
        grid = pixel_grid(view["image"].shape[-2:], centre).expand(len(centre), -1, -1, -1)
        place = (view["factor"].view(-1, 1, 1, 1) * grid - centre[:, :, None, None]) / half.amax(1).view(-1, 1, 1, 1)
        return self.wide(torch.cat([view["image"], view["box_mask"]], dim=1)), place

    def _maps(self, raw: Tensor, half: Tensor, ornament_half: Tensor) -> tuple[Tensor, Tensor]:
        """Corrections of the anchors, (B, 6 K), to maps of the size that brings the box onto the ornament."""
        numbers = raw.unflatten(-1, (-1, 6))
        scale = (ornament_half.prod(1) / half.prod(1)).sqrt().view(-1, 1, 1, 1)
        change = torch.eye(2, device=raw.device) + numbers[..., :4].unflatten(-1, (2, 2))
        return scale * (change @ self.anchors.to(raw)), numbers[..., 4:]


def relative_grid(mask: Tensor, centre: Tensor, half: Tensor) -> Tensor:
    """Coordinates of pixels from a centre, in units of the longer half size; (B, 2, H, W)."""
    grid = pixel_grid(mask.shape[-2:], mask)
    return (grid - centre[:, :, None, None]) / half.amax(1).view(-1, 1, 1, 1)


def _tokens(seen: Tensor) -> Tensor:
    return seen.flatten(2).transpose(1, 2)


def check_size(size: int) -> int:
    """Check the side that pictures are resized to.

    Raises:
        ValueError: If it is no multiple of 8, or less than 32.
    """
    if size < 4 * STRIDE or size % STRIDE:
        raise ValueError(f"size must be a multiple of {STRIDE} and at least {4 * STRIDE}, got {size}")
    return size
