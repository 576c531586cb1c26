"""What is drawn for a warped pair: how the ornament lies, what hides it, the light on it, and where it is worn."""

import math
import random
from typing import NamedTuple

import numpy as np

from datamodules.samples.warping.field import Floats, Warp

TURN = math.radians(26)
ANY_TURN = 0.15
FORESHORTENING = (0.45, 1.0)
PERSPECTIVE = 0.15
BEND = 0.15
WAVES = 3
WAVE_FREQUENCY = 2.0
WAVE_AMPLITUDE = 0.03
HIDDEN = 0.4
VISIBLE = (0.4, 0.9)
EDGE_CURVE = 0.5
GAIN = 0.22
TINT = 0.04
SLOPE = 0.25
SIZE = (0.45, 1.0)
SHIFT = 0.3


class Edge(NamedTuple):
    """A curved edge that hides what lies beyond it.

    Attributes:
        angle: Direction in which it lies.
        curve: By how much it recedes with the square of the way along it.
        visible: Share of the ornament on this side of it; 1 where nothing is hidden.
    """

    angle: float
    curve: float
    visible: float

    def beyond(self, worn: Floats) -> Floats:
        """How far worn points (..., 2) lie in its direction, with its curve taken out: (...,)."""
        cosine, sine = math.cos(self.angle), math.sin(self.angle)
        across, along = worn @ np.array([cosine, sine]), worn @ np.array([-sine, cosine])
        distance: Floats = across - self.curve * along**2
        return distance


class Light(NamedTuple):
    """Light of the worn ornament over that of its image: factor ``gain`` (1 + ``slope`` . (x, y)) of each channel.

    Attributes:
        gain: (3,).
        slope: (2,).
    """

    gain: Floats
    slope: Floats


class Place(NamedTuple):
    """Where an ornament is worn, by the box of the person's own one.

    Attributes:
        shift: (2,) from the centre of that box, over its longer side.
        size: Longer side of what is seen of the ornament, over its longer side.
    """

    shift: Floats
    size: float


def draw_warp(rng: random.Random) -> Warp:
    """Draw a turn, foreshortening along any direction, perspective, a bend and waves."""
    turn = rng.gauss(0, TURN)
    if rng.random() < ANY_TURN:
        turn = rng.uniform(-math.pi, math.pi)
    direction = rng.uniform(0, math.pi)
    stretch = np.diag([1.0, 1 / rng.uniform(*FORESHORTENING)])
    return Warp(
        matrix=rotation(-direction) @ stretch @ rotation(direction) @ rotation(-turn),
        perspective=PERSPECTIVE * _normals(rng, 2).clip(-1.5, 1.5),
        bend=BEND * _normals(rng, 2).clip(-1.5, 1.5),
        frequencies=WAVE_FREQUENCY * _normals(rng, WAVES, 2),
        phases=np.array([rng.uniform(0, 2 * math.pi) for _ in range(WAVES)]),
        amplitudes=WAVE_AMPLITUDE * _normals(rng, WAVES, 2),
    )


def draw_edge(rng: random.Random) -> Edge:
    """Draw an edge; most hide nothing."""
    hides = rng.random() < HIDDEN
    angle, curve, visible = rng.uniform(0, 2 * math.pi), rng.gauss(0, EDGE_CURVE), rng.uniform(*VISIBLE)
    return Edge(angle, curve, visible if hides else 1.0)


def draw_light(rng: random.Random) -> Light:
    """Draw a gain, a tint and a slope in any direction."""
    gain = (1 + GAIN * _normals(rng, 1).clip(-1.6, 1.6)) * (1 + TINT * _normals(rng, 3))
    angle, slope = rng.uniform(0, 2 * math.pi), rng.uniform(0, SLOPE)
    return Light(gain, slope * np.array([math.cos(angle), math.sin(angle)]))


def draw_place(rng: random.Random) -> Place:
    """Draw a place near the person's own ornament."""
    return Place(np.array([rng.uniform(-SHIFT, SHIFT) for _ in range(2)]), rng.uniform(*SIZE))


def rotation(angle: float) -> Floats:
    """(2, 2) matrix that turns by an angle in radians, from x to y."""
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def _normals(rng: random.Random, *shape: int) -> Floats:
    return np.array([rng.gauss(0, 1) for _ in range(math.prod(shape))]).reshape(shape)
