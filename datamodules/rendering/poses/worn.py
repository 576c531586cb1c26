"""Ornaments worn on bodies."""

import numpy as np

from datamodules.rendering.bodies import Body, Bust, EarSide, Hand
from datamodules.rendering.geometry.vectors import Vector
from datamodules.rendering.geometry.views import WornView
from datamodules.rendering.ornaments import Design
from datamodules.rendering.poses.finger import on_finger, show_finger
from datamodules.rendering.poses.lobe import on_lobe, show_lobe
from datamodules.rendering.poses.neck import on_neck, show_neck
from datamodules.rendering.poses.staging import Placed, Stage, aim
from datamodules.rendering.poses.wrist import on_wrist, show_wrist


def wear(design: Design, body: Body, tone: Vector, rng: np.random.Generator) -> WornView:
    """Put an ornament on a body and look at it.

    Args:
        design: The ornament.
        body: The part of a body that ``draw_body`` drew for its category.
        tone: (3,) of the skin, sRGB in [0, 1].
        rng: Draws how it sits and the camera.

    Raises:
        ValueError: If the body is not for ornaments of that category.
    """
    placed, stage = _staged(design, body, rng)
    meshes = placed.parts.meshes()
    camera = aim(meshes, stage, rng)
    seen = {"camera": [round(float(value), 4) for value in camera.direction], "width": round(camera.width, 4)}
    return WornView(
        ornament=meshes,
        body=body.painted(tone),
        camera=camera,
        backdrop_normal=stage.backdrop_normal,
        backdrop_distance=stage.backdrop_distance,
        light_up=stage.light_up,
        components=placed.parts.counted(),
        fit=placed.fit,
        info={**placed.info, **seen, "body": body.info},
    )


def _staged(design: Design, body: Body, rng: np.random.Generator) -> tuple[Placed, Stage]:
    if isinstance(body, Hand) and design.category == "bracelet":
        placed = on_wrist(design, body, rng)
        return placed, show_wrist(placed, rng)
    if isinstance(body, Hand) and design.category == "ring":
        placed = on_finger(design, body, rng)
        return placed, show_finger(placed, rng)
    if isinstance(body, EarSide) and design.category == "earring":
        placed = on_lobe(design, body, rng)
        return placed, show_lobe(placed, rng)
    if isinstance(body, Bust) and design.category == "necklace":
        placed = on_neck(design, body, rng)
        return placed, show_neck(placed, rng)
    raise ValueError(f"a {design.category} cannot be worn on {type(body).__name__}: draw the body of its category")
