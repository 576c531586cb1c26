"""Four ornaments and four people to begin with: see ``examples/README.md``."""

from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from ornament_lit.demo.generating import NamedFile
from ornament_lit.imaging.geometry import Box

EXAMPLES = Path(str(files("ornament_lit"))) / "demo" / "examples"
BOXES: dict[str, Box] = {
    "ring": (175, 174, 342, 284),
    "earring": (157, 231, 323, 466),
    "necklace": (49, 129, 445, 407),
    "bracelet": (192, 275, 366, 320),
}
"""The ornaments' boxes, grown by 15 % a side as one draws them."""


class Example(NamedTuple):
    """An ornament, a person and where it is worn.

    Attributes:
        ornament: Image of the ornament.
        person: Photograph of the person.
        box: In pixels of the photograph.
        category: Type of the ornament.
    """

    ornament: NamedFile
    person: NamedFile
    box: Box
    category: str


def examples() -> list[Example]:
    """One example a type."""
    return [
        Example(_named(EXAMPLES / f"{c}.webp"), _named(EXAMPLES / f"{c}_person.jpg"), box, c)
        for c, box in BOXES.items()
    ]


def _named(path: Path) -> NamedFile:
    return NamedFile(str(path), path.name)
