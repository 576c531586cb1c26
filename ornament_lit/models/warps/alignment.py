"""Aligner: bend a field until the ornament, laid over the person by it, fits.

Shape legend: B batch, S side of the square that the networks look at, N tokens, C channels.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ornament_lit.imaging.frames import apply_affine, mask_frame, pixel_grid, relative_grid
from ornament_lit.imaging.texture import sample_texture
from ornament_lit.models.warps.base import WarpInputs
from ornament_lit.models.warps.fields import QuadraticField
from ornament_lit.models.warps.layers import ContextAttention, ResidualBlock, zero_init

HALO = 9
"""Pixels of the halved texture over which the ornament's mask is blurred, for the aligner to feel where it is."""
DETAIL = 0.1
GAIN = 0.8
INPUTS = 14


class Alignment(NamedTuple):
    """What an iteration says, at the aligner's size.

    Attributes:
        displacement: d, (B, 2, S, S).
        visibility: (B, 1, S, S) in [0, 1].
        gain: (B, 3, S, S).
        skin: (B, 3, S, S).
        log_error: Logarithm of the error that it expects of the field, (B,).
    """

    displacement: Tensor
    visibility: Tensor
    gain: Tensor
    skin: Tensor
    log_error: Tensor


class Aligner(nn.Module):
    """Look at person and warped ornament together, and say how far each pixel is off; then look again.

    The answer is a displacement in the person's crop: an affine map, a coarse smooth field and a little detail. So
    every iteration, with the same weights, corrects what the one before left (as in recurrent optical flow, Teed and
    Deng, 2020, and in inverse compositional transformers, Lin and Lucey, 2017).

    Args:
        stem: Channels at half the size.
        channels: Channels at a quarter of it.
        heads: Of the attention.
        context: Channels of the tokens that it looks at.
    """

    def __init__(self, stem: int, channels: int, heads: int, context: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * INPUTS, stem, 3, padding=1), ResidualBlock(stem))
        self.down = nn.Sequential(nn.Conv2d(stem, channels, 4, 2, 1), ResidualBlock(channels))
        self.context = nn.Linear(context, channels)
        self.attention = ContextAttention(channels, heads)
        self.middle = nn.Sequential(ResidualBlock(channels), ResidualBlock(channels))
        self.whole = nn.Sequential(
            nn.LayerNorm(2 * channels), nn.Linear(2 * channels, 128), nn.SiLU(), zero_init(nn.Linear(128, 7), 0.003)
        )
        self.coarse = zero_init(nn.Conv2d(channels, 5, 3, padding=1), 0.003)
        self.up = nn.Sequential(nn.Conv2d(channels, 4 * stem, 1), nn.PixelShuffle(2))
        self.join = nn.Sequential(
            nn.Conv2d(2 * stem, stem, 3, padding=1), ResidualBlock(stem), ResidualBlock(stem), nn.SiLU()
        )
        self.fine = nn.Sequential(zero_init(nn.Conv2d(stem, 24, 3, padding=1), 0.003), nn.PixelShuffle(2))

    def forward(self, inputs: WarpInputs, tokens: Tensor, field: QuadraticField, displacement: Tensor) -> Alignment:
        """Correct a displacement.

        Args:
            inputs: Images of (B, ..., S, S).
            tokens: What the pose estimator saw, (B, N, C).
            field: Where to begin.
            displacement: What was found so far, (B, 2, S, S).
        """
        half = self.stem(self._look(inputs, field.at(displacement)))
        quarter = self.middle(self.attention(self.down(half), self.context(tokens)))
        fine = self.fine(self.join(torch.cat([half, self.up(quarter)], dim=1)))
        with torch.autocast(fine.device.type, enabled=False):
            return self._say(inputs.box_mask, field.centre, displacement, quarter.float(), fine.float())

    def _look(self, inputs: WarpInputs, uv: Tensor) -> Tensor:
        centre, extent = mask_frame(inputs.box_mask)
        halo = F.avg_pool2d(F.avg_pool2d(inputs.texture[:, 3:], 2), HALO, 1, HALO // 2)
        warped = torch.cat([sample_texture(inputs.texture, uv), sample_texture(halo, uv)], dim=1)
        place = relative_grid(inputs.box_mask, centre, extent)
        return torch.cat(
            [inputs.masked_person, inputs.box_mask, inputs.input_mask, place, warped, uv.clamp(-2, 2)], dim=1
        )

    def _say(self, box_mask: Tensor, centre: Tensor, before: Tensor, quarter: Tensor, fine: Tensor) -> Alignment:
        size = box_mask.shape[-2:]
        whole, coarse = self.whole(_pool(quarter, box_mask)), self.coarse(quarter)
        grid = pixel_grid(size, fine) - centre[:, :, None, None]
        change = apply_affine(whole[:, :4].unflatten(-1, (2, 2)), whole[:, 4:6], grid)
        change = change + _enlarge(coarse[:, :2], size, "bicubic") + DETAIL * fine[:, :2].tanh()
        light = _enlarge(coarse[:, 2:], size, "bilinear").tanh()
        return Alignment(
            displacement=before + change,
            visibility=(fine[:, 2:3] + 1).sigmoid(),
            gain=(GAIN * light).exp(),
            skin=fine[:, 3:],
            log_error=whole[:, 6],
        )


def _pool(seen: Tensor, box_mask: Tensor) -> Tensor:
    """Mean of a map in the box, and its greatest values; (B, 2 C)."""
    weight = F.adaptive_avg_pool2d(box_mask, (seen.shape[-2], seen.shape[-1]))
    mean = (seen * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-3)
    return torch.cat([mean, seen.amax((2, 3))], dim=1)


def _enlarge(coarse: Tensor, size: tuple[int, int] | torch.Size, mode: str) -> Tensor:
    """A smooth field of a coarse one, which is halved first."""
    return F.interpolate(F.avg_pool2d(coarse, 2), size=tuple(size), mode=mode, align_corners=False)
