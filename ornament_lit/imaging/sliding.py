"""Closed pieces that look the same all the way round may be worn slid round: the true field, slid to the front.

Shape legend: B batch, H, W size of the crop, h, w size of the ornament's image, N angles, M radii, P points.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ornament_lit.batch import Correspondence
from ornament_lit.imaging.frames import mask_frame, mean_slopes
from ornament_lit.imaging.texture import sample_texture

ANGLES, RADII, FARTHEST = 96, 48, 1.5
FRONT = math.pi / 2
"""Angle of what lies nearest to the camera in an image of a shop: below the middle."""
HOLE = 0.3
"""Radius of the hole that a closed piece has, over its half size."""
OPEN = 0.05
COVERED = 0.3
SMOOTH = 7
BLUR = 9
"""Angles over which beads and links are averaged to tell whether two sides of a piece look the same."""
THICKNESS, THICKEST, COLOUR = 0.25, 0.6, 0.2
"""How much two sides may differ: share of the thickness on average and anywhere, and colours in [-1, 1]."""
UNEVEN = 0.6
"""Skewness of the thickness at an angle, on average."""
LEAST = 0.06
"""Share of the length below which sliding is not worth it."""
HIT = 0.8
"""How much of what lay on the ornament must still lie on it."""
SHARPEST = 0.35
"""Least length of the mean direction of the visible points: below, the piece is seen all round and has no middle."""

HIDDEN = 0.3
"""Weight of a worn pixel whose point is hidden in the ornament's image; one that is seen there counts 1."""


class Ring(NamedTuple):
    """A closed piece around its middle.

    Attributes:
        centre: (B, 2).
        half: Half sizes of the rectangle around it, (B, 2).
        radius: Of its centre line by angle, in half sizes, (B, N).
        length: Share of the centre line before each angle, (B, N), rising from 0.
        thickness: By angle, (B, N), not negative.
        colour: Its mean by angle, (B, 3, N), in [-1, 1].
        closed: Whether it is closed, around a hole, (B,) bool.
        even: Whether its inside and its outside look alike, (B,) bool.
    """

    centre: Tensor
    half: Tensor
    radius: Tensor
    length: Tensor
    thickness: Tensor
    colour: Tensor
    closed: Tensor
    even: Tensor


@torch.no_grad()
def slide_to_front(uv: Tensor, weight: Tensor, texture: Tensor) -> Tensor:
    """Slide a true field along a closed piece until its front is in the middle of what is seen.

    A bracelet of beads turns round the wrist as it likes. Nothing in the images tells which beads face the camera,
    and any will do; so the front of the ornament's image is taught. Pieces that are open, that have a front of their
    own (charms, a stone), or that are seen all round keep their field.

    Args:
        uv: The point of the ornament's image that each pixel shows, (B, 2, H, W).
        weight: How far it is known, (B, 1, H, W), not negative.
        texture: Colours in [-1, 1] and mask of the ornament, (B, 4, h, w).

    Returns:
        (B, 2, H, W); equal to ``uv`` in the rows that keep it.
    """
    ring = find_ring(texture)
    angle, beyond = _polar(uv.flatten(2), ring)
    places = look_up(ring.length, angle, rise=1)
    middle, extent = _mean_place(places, weight.flatten(1))
    front = look_up(ring.length, torch.full_like(middle, FRONT)[:, None], rise=1)[:, 0]
    shift = torch.remainder(front - middle + 0.5, 1) - 0.5
    slid_angle = _angle_of(ring.length, torch.remainder(places + shift[:, None], 1))
    slid = _points(ring, slid_angle, beyond).unflatten(2, uv.shape[-2:])
    twin = _points(ring, slid_angle, -beyond).unflatten(2, uv.shape[-2:])
    mirrored = (torch.linalg.det(mean_slopes(slid, weight)) < 0) & ring.even
    slid = torch.where(_rows(mirrored), twin, slid)
    slides = ring.closed & (extent > SHARPEST) & (shift.abs() > LEAST) & looks_the_same(ring, shift)
    slides = slides & (_hit(slid, weight, texture) > HIT * _hit(uv, weight, texture))
    return torch.where(_rows(slides), slid, uv)


def _mean_place(places: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Mean of places on a circle of length 1, (B,), and how much they agree, (B,) in [0, 1]; of (B, P) each."""
    angle, total = 2 * math.pi * places, weight.sum(1).clamp(min=1e-6)
    x, y = ((weight * part).sum(1) / total for part in (angle.cos(), angle.sin()))
    return torch.atan2(y, x) / (2 * math.pi), (x.square() + y.square()).sqrt()


def _points(ring: Ring, angle: Tensor, beyond: Tensor) -> Tensor:
    """Points of the image, (B, 2, P), at angles and so far beyond the centre line."""
    radius = look_up(ring.radius, angle) + beyond
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return ring.centre[..., None] + ring.half[..., None] * points


def _hit(uv: Tensor, weight: Tensor, texture: Tensor) -> Tensor:
    """How much of the known points lies on the ornament, (B,)."""
    return (sample_texture(texture[:, 3:].float(), uv) * weight).sum((1, 2, 3))


def _rows(chosen: Tensor) -> Tensor:
    return chosen[:, None, None, None]


def find_ring(texture: Tensor) -> Ring:
    """Look at an ornament's image, (B, 4, h, w), by angle around its middle."""
    centre, half = mask_frame(texture[:, 3:])
    angles = _angles(texture)
    radii = (torch.arange(RADII, device=texture.device) + 0.5) * (FARTHEST / RADII)
    directions = torch.stack([angles.cos(), angles.sin()])
    points = centre[..., None, None] + half[..., None, None] * directions[..., None] * radii
    seen = sample_texture(texture.float(), points)
    mask = seen[:, 3]
    thickness = mask.sum(2).clamp(min=1e-6)
    hole = mask[..., radii < HOLE].mean((1, 2)) < OPEN
    closed = hole & ((mask.amax(2) > COVERED).float().mean(1) > 1 - OPEN)
    radius = _around((mask * radii).sum(2) / thickness, SMOOTH).clamp(min=HOLE)
    line = half[..., None] * directions * radius[:, None]
    steps = (line.roll(-1, 2) - line).norm(dim=1)
    length = (steps.cumsum(1) - steps) / steps.sum(1, keepdim=True)
    colour = (seen[:, :3] * seen[:, 3:]).sum(3) / thickness[:, None]
    even = _unevenness(mask, radii, radius, thickness) < UNEVEN
    return Ring(centre, half, radius, length, thickness * (FARTHEST / RADII), colour, closed, even)


def _unevenness(mask: Tensor, radii: Tensor, radius: Tensor, thickness: Tensor) -> Tensor:
    """Skewness of a mask by angle and radius, (B, N, M), along the radius, on average, (B,)."""
    beyond = radii - radius[..., None]
    skew = (mask * beyond.pow(3)).sum(2) / thickness
    spread = (mask * beyond.square()).sum(2) / thickness
    return (skew.abs() / spread.pow(1.5).clamp(min=1e-6)).mean(1)


def looks_the_same(ring: Ring, shift: Tensor) -> Tensor:
    """Whether pieces slid by a share of their length, (B,), look as before, but for single beads; (B,) bool."""
    places = (torch.arange(ANGLES, device=shift.device) + 0.5) / ANGLES
    before, after = (
        _profile(ring, torch.remainder(places + moved[:, None], 1)) for moved in (torch.zeros_like(shift), shift)
    )
    differences = (before - after).abs()
    share = differences[:, 0] / before[:, 0].mean(1, keepdim=True).clamp(min=1e-6)
    as_thick = (share.mean(1) < THICKNESS) & (share.amax(1) < THICKEST)
    return as_thick & (differences[:, 1:].mean((1, 2)) < COLOUR)


def _profile(ring: Ring, places: Tensor) -> Tensor:
    """Thickness and colour at places along the centre line, single beads averaged, (B, 4, N)."""
    angle = _angle_of(ring.length, places)
    rows = torch.stack([ring.thickness, *ring.colour.unbind(1)], dim=1)
    looked_up = look_up(rows.flatten(0, 1), angle.repeat_interleave(4, dim=0))
    profile: Tensor = _around(looked_up, BLUR).unflatten(0, (-1, 4))
    return profile


def look_up(values: Tensor, angle: Tensor, rise: float = 0.0) -> Tensor:
    """Values (B, N) at the angles of :class:`Ring`, between them at others, (B, P).

    Args:
        values: By angle.
        angle: Where to look.
        rise: How much more they are after a whole turn: 1 for lengths.
    """
    place = torch.remainder(angle / (2 * math.pi), 1) * ANGLES
    low = place.floor().long() % ANGLES
    around = torch.cat([values, values[:, :1] + rise], dim=1)
    return torch.lerp(around.gather(1, low), around.gather(1, low + 1), place - place.floor())


def _angle_of(length: Tensor, place: Tensor) -> Tensor:
    """The inverse of looking lengths up: angles at places in [0, 1), (B, P)."""
    whole = torch.cat([length, torch.ones_like(length[:, :1])], dim=1)
    low = (torch.searchsorted(whole, place.contiguous(), right=True) - 1).clamp(0, ANGLES - 1)
    first, second = whole.gather(1, low), whole.gather(1, low + 1)
    return (low + (place - first) / (second - first).clamp(min=1e-9)) * (2 * math.pi / ANGLES)


def _polar(points: Tensor, ring: Ring) -> tuple[Tensor, Tensor]:
    """Angles of points (B, 2, P), and how far beyond the centre line they are, in half sizes."""
    x, y = ((points - ring.centre[..., None]) / ring.half[..., None]).unbind(1)
    angle = torch.atan2(y, x)
    return angle, (x.square() + y.square()).sqrt() - look_up(ring.radius, angle)


def _around(values: Tensor, width: int) -> Tensor:
    """Mean of ``width`` neighbours on a circle, (B, N)."""
    padded = F.pad(values[:, None], (width // 2, width // 2), mode="circular")
    return F.avg_pool1d(padded, width, 1)[:, 0]


def _angles(like: Tensor) -> Tensor:
    return torch.arange(ANGLES, device=like.device) * (2 * math.pi / ANGLES)


def field_weight(ground_truth: Correspondence) -> Tensor:
    """How much the field of each pixel counts, (B, 1, H, W): points hidden in the ornament's image count less."""
    return HIDDEN * ground_truth["known"] + (1 - HIDDEN) * ground_truth["seen"]


def slid_correspondence(ground_truth: Correspondence, texture: Tensor) -> Correspondence:
    """The ground truth with the field of :func:`ornament_lit.imaging.sliding.slide_to_front`."""
    uv = slide_to_front(ground_truth["uv"], field_weight(ground_truth), texture)
    return Correspondence(uv=uv, known=ground_truth["known"], seen=ground_truth["seen"])
