"""Where tokens lie: the grid of a layer, the box of a mask, coordinates relative to it and their Fourier features.

Coordinates are those of `torch.nn.functional.grid_sample` with ``align_corners=False``: x and y from -1 at the left and
upper border of the image to 1 at the others.

Shape legend: B batch, h, w size of a map, N tokens of a layer, S points, K frequencies.
"""

import math

import torch
from torch import Tensor

REACH = 4.0
"""Relative coordinates end here: four half sizes from the centre of a box."""

EDGE = 1e-3
"""Coverage below which a row or column of a mask counts as empty, against rounding."""


def grid_size(num_tokens: int, like: Tensor) -> tuple[int, int]:
    """Rows and columns of a layer of N tokens, whose map has the aspect of ``like``, (B, 1, h, w)."""
    rows = round((like.shape[-2] / like.shape[-1] * num_tokens) ** 0.5)
    return rows, num_tokens // rows


def token_centres(rows: int, columns: int, device: torch.device | None = None) -> Tensor:
    """Centres of the tokens of a layer, (N, 2) of x and y in [-1, 1], row by row."""
    x, y = ((2 * torch.arange(count, device=device) + 1) / count - 1 for count in (columns, rows))
    return torch.stack([x.expand(rows, columns), y[:, None].expand(rows, columns)], dim=-1).flatten(0, 1)


def tokens_at(points: Tensor, rows: int, columns: int) -> Tensor:
    """Number of the token that each point lies in, (B, S) int64; ``points`` is (B, S, 2) in [-1, 1]."""
    x, y = (
        ((points[..., axis] + 1) / 2 * count).floor().long().clamp(0, count - 1)
        for axis, count in enumerate((columns, rows))
    )
    return y * columns + x


def mask_box(mask: Tensor) -> Tensor:
    """The box around a mask, in fractions of a pixel where its border is a fraction.

    Args:
        mask: (B, 1, h, w) in [0, 1].

    Returns:
        (B, 4) float32: x and y of the centre and half width and half height, in units of the image's half sides; the
        whole image where the mask is empty.
    """
    sides = [_extent(mask.float().amax(dim=axis).squeeze(1)) for axis in (-2, -1)]
    (left, right), (top, bottom) = sides
    return torch.stack([left + right, top + bottom, right - left, bottom - top], dim=-1) / 2


def _extent(coverage: Tensor) -> tuple[Tensor, Tensor]:
    """First and last border of what is covered of a row, (B, n) in [0, 1], in [-1, 1]."""
    count = coverage.shape[-1]
    place = torch.arange(count, device=coverage.device)
    covered = coverage > EDGE
    first = torch.where(covered, place, count).amin(dim=-1)
    last = torch.where(covered, place, -1).amax(dim=-1)
    empty = last < 0
    start = first + 1 - coverage.gather(1, first.clamp(max=count - 1)[:, None]).squeeze(1)
    end = last + coverage.gather(1, last.clamp(min=0)[:, None]).squeeze(1)
    start, end = torch.where(last == first, first, start), torch.where(last == first, last + 1, end)
    return torch.where(empty, -1.0, 2 * start / count - 1), torch.where(empty, 1.0, 2 * end / count - 1)


def relative_places(centres: Tensor, box: Tensor) -> Tensor:
    """Places relative to boxes: 0 at the centre of the box, -1 and 1 at its borders, at most :data:`REACH`.

    Args:
        centres: (N, 2), see :func:`token_centres`.
        box: (B, 4), see :func:`mask_box`.

    Returns:
        (B, N, 2).
    """
    return ((centres - box[:, None, :2]) / box[:, None, 2:]).clamp(-REACH, REACH)


def fourier_features(places: Tensor, num_frequencies: int) -> Tensor:
    """Sine and cosine of places at doubling frequencies (Tancik et al., Fourier Features, 2020, arXiv 2006.10739).

    The longest period is twice :data:`REACH`, so that no two places have the same features.

    Args:
        places: (B, N, 2) in [-REACH, REACH].
        num_frequencies: K.

    Returns:
        (B, N, 4 K) in [-1, 1].
    """
    frequencies = math.pi / REACH * 2.0 ** torch.arange(num_frequencies, device=places.device)
    angles = (places[..., None] * frequencies).flatten(2)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
