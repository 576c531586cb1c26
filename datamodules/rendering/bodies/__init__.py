"""Parts of bodies that ornaments are worn on."""

from functools import lru_cache

import numpy as np

from datamodules.rendering.bodies.body import Body
from datamodules.rendering.bodies.bust import Bust, draw_bust
from datamodules.rendering.bodies.ear import EarSide, draw_ear_side
from datamodules.rendering.bodies.hand import Hand, draw_hand
from datamodules.rendering.bodies.skin import draw_tone
from datamodules.samples.seeding import hash_seed

__all__ = ["Body", "Bust", "EarSide", "Hand", "draw_body", "draw_tone"]

WRIST_LOW, WRIST_HIGH = np.array([-2.4, -1.1, -1.15]), np.array([2.3, 1.25, 0.75])
FINGERS_LOW, FINGERS_HIGH = np.array([-0.9, -1.1, -1.5]), np.array([2.35, 1.25, 0.75])


@lru_cache(maxsize=6)
def draw_body(category: str, seed: int, detail: float = 1.0) -> Body:
    """Draw the part of a body on which ornaments of a category are worn.

    The same arguments give the same body in every process. The last few bodies are kept, because several ornaments
    are tried on by each.

    Args:
        category: "bracelet", "ring", "earring" or "necklace".
        seed: Of the body.
        detail: Factor of the resolution; 1 is for images of up to 512 pixels, 0.4 for tests.

    Raises:
        ValueError: If there is no such category, or detail is not positive.
    """
    if detail <= 0:
        raise ValueError(f"detail must be positive, got {detail}")
    rng = np.random.default_rng(hash_seed("body", category, seed))
    if category == "bracelet":
        return draw_hand(rng, WRIST_LOW, WRIST_HIGH, 0.018 / detail)
    if category == "ring":
        return draw_hand(rng, FINGERS_LOW, FINGERS_HIGH, 0.015 / detail)
    if category == "earring":
        return draw_ear_side(rng, 0.0125 / detail)
    if category == "necklace":
        return draw_bust(rng, 0.034 / detail)
    raise ValueError(f"category must be bracelet, ring, earring or necklace, got {category!r}")
