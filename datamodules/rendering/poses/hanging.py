"""How pendants hang against a body."""

import numpy as np

from datamodules.rendering.geometry.fields import DistanceField
from datamodules.rendering.geometry.vectors import Vector, across, unit
from datamodules.rendering.ornaments.curves import Frames, Hang, Hook, hook, propped

ASIDE = np.array([-0.42, 0.0, 0.42])
BELOW = np.array([0.15, 0.4, 0.7, 1.0])
SLANT = 0.4
GAP = 0.02


def hanging(field: DistanceField, gravity: Vector, aside: Vector, lift: float) -> Hang:
    """Pendants on a body: where it is above them they hang down, elsewhere they lie on it, side by side.

    Where a pendant would slide along the chain onto its neighbour, it slants a little only.

    Args:
        field: Distance to the body.
        gravity: (3,) unit vector.
        aside: (3,) direction away from the chain in which they lie: along a limb, or down a chest.
        lift: Distance of their bail from the curve.
    """

    def hang(frames: Frames, size: float, back: float) -> Hook:
        along, normal = frames.along[0], frames.outwards[0]
        slant = float(np.clip(gravity @ along, -SLANT, SLANT))
        lying = slant * along + np.sqrt(1 - slant**2) * across(across(aside, normal), along)
        free = float(np.clip((gravity @ normal - 0.2) / 0.5, 0, 1))
        return _rest(field, frames, size, back, unit((1 - free) * lying + free * gravity), lift)

    return hang


def _rest(field: DistanceField, frames: Frames, size: float, back: float, fall: Vector, lift: float) -> Hook:
    """Lay a pendant on what is below it: its bail stays at the curve, its middle lies on its back."""
    position, face = frames.positions[0], frames.outwards[0]
    for _ in range(3):
        distance, normal = field.distance_and_normal((position + 0.55 * size * fall)[None])
        if distance[0] < 0.6 * size and fall @ normal[0] < 0.2:
            fall, face = across(fall, normal[0].astype(np.float64)), normal[0].astype(np.float64)
    hung = hook(position + lift * fall, -fall, face)
    middle = hung.top - 0.6 * size * hung.axes[:, 1]
    top, axes = propped(hung, back + GAP * size - float(field.distance(middle[None])[0]), size)
    for _ in range(3):
        probes = top + size * (ASIDE[:, None, None] * axes[:, 0] - BELOW[None, :, None] * axes[:, 1])
        gap = float(field.distance(probes.reshape(-1, 3)).min())
        top = top + max(0.0, min(back, 0.07 * size) + GAP * size - gap) * axes[:, 2]
    return Hook(top, axes)
