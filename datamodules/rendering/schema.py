"""The metadata of all rendered triplets have the same keys and types, so that tables can be made of them.

Libraries such as Hugging Face ``datasets`` guess the types of a set from its first samples. What a type of ornament
does not have is "", 0 or false; ``type`` and ``kind`` tell what it can have.
"""

from collections.abc import Mapping
from typing import Any

COMPONENTS = dict.fromkeys(("beads", "links", "pendants", "stones", "strands"), 0)
PENDANT = dict.fromkeys(("kind", "cut", "stone", "accent"), "")
HAND = dict.fromkeys(("slim", "curl", "spread", "extension", "deviation"), 0.0)
EAR = dict.fromkeys(("lobe", "flare", "ear_tilt"), 0.0)
BUST = dict.fromkeys(("turn", "tilt", "lean"), 0.0)
POSE = {
    "body": {**HAND, **EAR, **BUST, "garment": "", "hair": ""},
    "camera": [],
    "width": 0.0,
    "finger": "",
    "palm": False,
    "roll": 0.0,
    "swing": 0.0,
}


def complete(given: Mapping[str, Any], blank: Mapping[str, Any]) -> dict[str, Any]:
    """Fill what is absent, and give each value the type of its blank.

    Args:
        given: Some of the keys.
        blank: All of them, with what stands for an absent one.

    Raises:
        ValueError: If a key is given that is none of them.
    """
    if unknown := sorted(set(given) - set(blank)):
        raise ValueError(f"the schema has no {', '.join(unknown)}; add it, with what stands for an absent one")
    return {
        name: complete(given.get(name, {}), value) if isinstance(value, dict) else type(value)(given.get(name, value))
        for name, value in blank.items()
    }
